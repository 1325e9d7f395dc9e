"""`finsentry classify`: texts in, JSON lines out."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import text_options, with_settings
from deploy.commands.output import WIPE, progress_bar
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from deploy.texts import Format
    from model.routing import Answer

AT_ONCE = 512
"""Texts that are classified together: enough to fill batches, few enough that the first answers come at once."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@text_options
@with_settings
def classify(settings: Settings, file: Path, form: "Format", column: str) -> None:
    """Say topic and sentiment of each text, as JSON lines.

    FILE holds a text a line, or is CSV, JSON Lines or Parquet with a column for the text; - is standard input. What
    is no readable text is reported and passed over. Where `model.languages` names bundles, each text is read by the one
    of its language, and the line says the language, and `fallback` where it has no bundle. How far it is stands on
    standard error, where that is a terminal and the answers go elsewhere.

    \b
    Example:
      echo "Regulator shuts down lender after run on deposits" | finsentry classify -
    """
    from deploy.errors import InputError
    from deploy.texts import Unreadable, read_texts
    from model.routing import RoutedClassifier

    log_as_command()
    is_typed = str(file) == "-" and sys.stdin.isatty()
    has_bar = sys.stderr.isatty() and not is_typed and not sys.stdout.isatty()  # there the answers show how far it is
    found = read_texts(None if str(file) == "-" else file, form, column)
    rows = passed_over = 0
    with (
        RoutedClassifier.load(settings.model) as classifier,
        progress_bar(found, label="classifying", length=None if has_bar else 0, show_pos=True) as bar,
    ):
        while some := list(islice(found, AT_ONCE)):
            rows += len(some)
            texts = [text for text in some if isinstance(text, str)]
            passed_over += len(some) - len(texts)
            for one in some:
                if isinstance(one, Unreadable):
                    click.echo(f"{WIPE if has_bar else ''}finsentry: {one}", err=True)
            for line in _lines(texts, classifier.classify(texts), routed=bool(settings.model.languages)):
                click.echo(line)
            bar.update(len(some))
    if not rows:
        name = "standard input" if str(file) == "-" else file
        raise InputError(f"{name} holds no rows", fix="give one text a row, below the names of the columns")
    if passed_over or (sys.stderr.isatty() and not is_typed):
        read = f"{rows:,} {'row' if rows == 1 else 'rows'} read"
        click.echo(f"{read}: {rows - passed_over:,} classified, {passed_over:,} passed over", err=True)


def _lines(texts: list[str], answers: "list[Answer]", *, routed: bool) -> Iterator[str]:
    import msgspec

    from model.labels import SENTIMENTS

    for text, (prediction, model, route) in zip(texts, answers, strict=True):
        line = {
            "text": text,
            "topic": prediction.topic,
            "topic_probability": round(prediction.topic_probability, 6),
            "sentiment": prediction.sentiment,
            "probabilities": {
                name: round(value, 6) for name, value in zip(SENTIMENTS, prediction.probabilities, strict=True)
            },
            "model": model,
        }
        if routed:
            line |= {"language": route.language, "fallback": route.fallback}
        yield msgspec.json.encode(line).decode()
