"""`finsentry explain`: which words speak for a sentiment, and which against it."""

import sys
import unicodedata
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
from deploy.commands.output import print_json
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from model.explain import Explanation
    from model.labels import Sentiment

BAR = 24
"""Characters of the longest bar."""


@click.command()
@click.argument("text")
@click.option("--toward", type=click.Choice(["negative", "neutral", "positive"]), default="negative", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_settings
def explain(settings: Settings, text: str, toward: "Sentiment", as_json: bool) -> None:
    """Say which words of TEXT speak for a sentiment, and which against it; - reads standard input.

    Each word is left out in turn; its weight is by how much it raises the log-odds of the sentiment, below 0 where it
    lowers them. Red is bad news and green good; toward neutral cyan speaks for it. Asked is the
    bundle of the text's language, see `model.languages`. A text that is longer than what the bundle reads is cut there,
    and the answer says so.

    \b
    Example:
      finsentry explain "Regulator shuts down lender after run on deposits"
    """
    from model.explain import explain as by_erasure
    from model.routing import RoutedClassifier

    log_as_command()
    wanted = (sys.stdin.read() if text == "-" else text).strip()
    with RoutedClassifier.load(settings.model) as bundles:
        found = by_erasure(bundles.bundle_for(wanted)[0], wanted, toward)
    if as_json:
        print_json(_plain(found))
    else:
        _show(found)


def _plain(found: "Explanation") -> dict[str, object]:
    prediction = found.prediction
    return {
        "text": found.text,
        "topic": prediction.topic,
        "sentiment": prediction.sentiment,
        "probabilities": prediction.probabilities,
        "toward": found.toward,
        "words": [word._asdict() for word in found.words],
        "cut_after_words": len(found.words) if found.cut else None,
        "model": found.model,
    }


def _show(found: "Explanation") -> None:
    prediction = found.prediction
    negative, neutral, positive = prediction.probabilities
    click.echo(
        f"{prediction.sentiment} (negative {negative:.0%}, neutral {neutral:.0%}, positive {positive:.0%}),"
        f" {prediction.topic} {prediction.topic_probability:.0%}"
    )
    most = max(abs(word.weight) for word in found.words) or 1.0
    width = max(_columns(word.text) for word in found.words)
    click.echo(f"what each word does to the log-odds of {found.toward}:")
    for word in found.words:
        bar = _coloured("█" * round(BAR * abs(word.weight) / most), found.toward, speaks_for=word.weight > 0)
        click.echo(f"  {word.text}{' ' * (width - _columns(word.text))} {word.weight:+6.2f} {bar}")
    if found.cut:
        click.echo(f"cut after {len(found.words)} words: {found.model} reads no more of it")


def _coloured(bar: str, toward: "Sentiment", *, speaks_for: bool) -> str:
    """Red is bad news and green good, whatever is asked; toward neutral neither can be said."""
    if toward == "neutral":
        return click.style(bar, fg="cyan") if speaks_for else click.style(bar, dim=True)
    return click.style(bar, fg="red" if speaks_for == (toward == "negative") else "green")


def _columns(text: str) -> int:
    """Of a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
