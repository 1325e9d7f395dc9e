"""`finsentry drift`: are these texts what the bundle was made for?"""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.classify import AT_ONCE
from deploy.commands.options import with_settings
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from deploy.texts import Format

MOVED, FAR = 0.1, 0.25


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option(
    "--format", "form", type=click.Choice(["auto", "lines", "csv", "jsonl", "parquet"]), default="auto",
    show_default=True, help="What the input is; auto goes by the file's extension.",
)  # fmt: skip
@click.option("--column", default="", metavar="NAME", help="The column or key with the text, where it is not found.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_settings
def drift(settings: Settings, file: Path, form: "Format", column: str, as_json: bool) -> None:
    """Compare the texts of FILE with those that the bundle was made for.

    For topics, sentiments, confidence, lengths and unknown tokens it prints the population stability index: below 0.1
    nothing moved, above 0.25 much did. A worker exports the same of what it scores, as finsentry_input_drift_index.

    \b
    Example:
      finsentry drift headlines.csv
    """
    from deploy.texts import read_texts
    from model.classifier import ENOUGH_TEXTS, Classifier

    log_as_command()
    found = (text for text in read_texts(None if str(file) == "-" else file, form, column) if isinstance(text, str))
    read = 0
    with Classifier.load(settings.model) as classifier:
        if classifier.bundle.manifest.reference is None:
            raise InputError(
                f"{classifier.version} does not say what texts it was made for", fix="export the bundle again"
            )
        while texts := list(islice(found, AT_ONCE)):
            classifier.classify(texts)
            read += len(texts)
            if sys.stderr.isatty():
                click.echo(f"\r{read:,} texts", nl=False, err=True)
        distances = classifier.drift()
    if sys.stderr.isatty():
        click.echo(err=True)
    if not distances:
        raise InputError(f"{read:,} texts are too few to tell", fix=f"give {ENOUGH_TEXTS:,} or more")
    if as_json:
        click.echo(json.dumps({"texts": read, "model": classifier.version, "stability_index": distances}))
        return
    for name, distance in sorted(distances.items(), key=lambda item: -item[1]):
        said = "far from what the bundle knows" if distance > FAR else "moved" if distance > MOVED else "as known"
        click.echo(f"{name:<12} {distance:6.3f}  {said}")
