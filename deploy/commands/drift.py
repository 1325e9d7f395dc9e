"""`finsentry drift`: are these texts what the bundles were made for?"""

import math
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from deploy.commands.classify import AT_ONCE
from deploy.commands.options import text_options, with_settings
from deploy.commands.output import print_json
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from deploy.texts import Format
    from model.classifier import Classifier

MOVED, FAR = 0.1, 0.25


class Drift(NamedTuple):
    """How far the texts of one bundle are from what it was made for."""

    language: str
    """That the bundle has to itself; empty for the default one."""
    model: str
    texts: int
    """That it read."""
    stability_index: dict[str, float] | None
    """By feature; None where that cannot be said."""
    reason: str = ""
    """Why it cannot."""
    fix: str = ""
    """What to do about that."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@text_options
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_settings
def drift(settings: Settings, file: Path, form: "Format", column: str, as_json: bool) -> None:
    """Compare the texts of FILE with those that the bundle was made for.

    For topics, sentiments, confidence, lengths and unknown tokens it prints the population stability index: below 0.1
    nothing moved, above 0.25 much did. All texts weigh alike. Where `model.languages` names bundles, each text is
    compared with what the bundle of its language was made for: a table each. A worker exports the same of what it
    scores, where the last some ten thousand texts weigh most, as finsentry_input_drift_index.

    \b
    Example:
      finsentry drift headlines.csv
    """
    from deploy.texts import Readable, read_texts
    from model.routing import RoutedClassifier

    log_as_command()
    readable = Readable(read_texts(None if str(file) == "-" else file, form, column))
    found = iter(readable)
    read: Counter[str] = Counter()
    with RoutedClassifier.load(settings.model) as bundles:
        opened = bundles.bundles
        if not any(one.bundle.manifest.reference for one in opened.values()):
            versions = ", ".join(one.version for one in opened.values())
            raise InputError(f"{versions} does not say what texts it was made for", fix="export the bundle again")
        for classifier in opened.values():
            classifier.profile_anew(half_at=math.inf)
        while texts := list(islice(found, AT_ONCE)):
            read.update(answer.route.bundle for answer in bundles.classify(texts))
            if sys.stderr.isatty():
                click.echo(f"\r{read.total():,} texts", nl=False, err=True)
        drifts = [_drift(key, one, read[key]) for key, one in opened.items() if read[key]]
    if sys.stderr.isatty():
        click.echo(err=True)
    readable.report()
    if all(one.stability_index is None for one in drifts):
        reasons = "; ".join(one.reason for one in drifts) or "there are no texts"
        fixes = dict.fromkeys(one.fix for one in drifts) or [_more_texts()]
        raise InputError(reasons, fix="; ".join(fixes))
    if as_json:
        bundles_as_json = [one._asdict() for one in drifts]
        print_json({"texts": read.total(), "skipped": readable.left_out, "bundles": bundles_as_json})
        return
    for one in drifts:
        _show(one, settings.model.language, alone=len(opened) == 1)


def _drift(key: str, classifier: "Classifier", texts: int) -> Drift:
    from model.classifier import ENOUGH_TEXTS
    from model.drift import ENOUGH_REFERENCE

    if distances := classifier.drift():
        return Drift(key, classifier.version, texts, distances)
    reference = classifier.bundle.manifest.reference
    if reference is None:
        reason, fix = f"{classifier.version} does not say what texts it was made for", "export the bundle again"
    elif reference.texts < ENOUGH_REFERENCE:
        reason = f"{classifier.version} was made for {reference.texts:,} texts, which are too few to tell"
        fix = "give training.calibration more rows, train and export again"
    elif texts < ENOUGH_TEXTS:
        reason, fix = f"{texts:,} texts are too few to tell", _more_texts()
    else:
        reason = f"{classifier.version} says nothing of its texts that is counted now"
        fix = "export the bundle again"
    return Drift(key, classifier.version, texts, None, reason, fix)


def _more_texts() -> str:
    from model.classifier import ENOUGH_TEXTS

    return f"give {ENOUGH_TEXTS:,} or more"


def _show(drift: Drift, default: str, *, alone: bool) -> None:
    if not alone:
        who = drift.language or f"{default} and what has no bundle"
        click.echo(f"{who}: {drift.texts:,} texts, {drift.model}")
    if drift.stability_index is None:
        click.echo(f"{drift.reason}: {drift.fix}")
        return
    for name, distance in sorted(drift.stability_index.items(), key=lambda item: -item[1]):
        said = "far from what the bundle knows" if distance > FAR else "moved" if distance > MOVED else "as known"
        click.echo(f"{name:<12} {distance:6.3f}  {said}")
