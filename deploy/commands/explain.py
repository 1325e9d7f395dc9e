"""`finsentry explain`: which words made a text negative."""

import json
import sys
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
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

    Each word is left out in turn; its weight is the change of the log-odds. A text without it would be that much less
    negative.

    \b
    Example:
      finsentry explain "Regulator shuts down lender after run on deposits"
    """
    from model.classifier import Classifier
    from model.explain import explain as by_erasure

    log_as_command()
    wanted = sys.stdin.read() if text == "-" else text
    with Classifier.load(settings.model) as classifier:
        found = by_erasure(classifier, wanted.strip(), toward)
        version = classifier.version
    if as_json:
        click.echo(json.dumps(_plain(found, version)))
    else:
        _show(found)


def _plain(found: "Explanation", version: str) -> dict[str, object]:
    prediction = found.prediction
    return {
        "text": found.text,
        "topic": prediction.topic,
        "sentiment": prediction.sentiment,
        "probabilities": prediction.probabilities,
        "toward": found.toward,
        "words": [word._asdict() for word in found.words],
        "model": version,
    }


def _show(found: "Explanation") -> None:
    prediction = found.prediction
    negative, neutral, positive = prediction.probabilities
    click.echo(
        f"{prediction.sentiment} (negative {negative:.0%}, neutral {neutral:.0%}, positive {positive:.0%}),"
        f" {prediction.topic} {prediction.topic_probability:.0%}"
    )
    most = max(abs(word.weight) for word in found.words) or 1.0
    width = max(len(word.text) for word in found.words)
    click.echo(f"what each word does to the log-odds of {found.toward}:")
    for word in found.words:
        bar = "█" * round(BAR * abs(word.weight) / most)
        colour = "red" if word.weight > 0 else "green"
        click.echo(f"  {word.text:<{width}} {word.weight:+6.2f} {click.style(bar, fg=colour)}")
