"""`finsentry backtest`: the same windows and the same judge, offline."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import PICTURES, OutputFile, archive_options, with_settings
from deploy.commands.output import print_json, progress_bar
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from alerts.backtest import Backtest, Placed
    from alerts.plot import Event
    from ingest.sources.archive import ArchiveOptions


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--scored", type=click.Path(path_type=Path), help="Scored documents: a dump, or an archive.")
@click.option("--window", default="", help="The window of the timeline; default: one that suits the time covered.")
@click.option("--json", "as_json", is_flag=True, help="Print alerts and timeline as JSON.")
@click.option("--plot", type=OutputFile(PICTURES), help="Draw the timeline into this .png, .svg or .pdf.")
@click.option("--events", type=click.Path(path_type=Path), help="CSV of known events (from,to,what) for the picture.")
@click.option("--windows", type=OutputFile(), help="Write the minutes' counts to this file, JSON lines.")
@archive_options
@with_settings
def backtest(
    settings: Settings,
    file: Path | None,
    scored: Path | None,
    window: str,
    as_json: bool,
    plot: Path | None,
    events: Path | None,
    windows: Path | None,
    how: "ArchiveOptions",
) -> None:
    """Judge an archive, or documents that were scored already, as the stream would have.

    FILE is an archive of texts (CSV, JSON Lines or Parquet) and is classified first; --scored takes what a run has
    scored (of `finsentry dump scored`, or a folder of `finsentry archive`) and gives the same alerts as that run.

    \b
    Example:
      finsentry dump scored > scored.jsonl
      finsentry backtest --scored scored.jsonl
    """
    from alerts.backtest import backtest as judge
    from alerts.plot import draw
    from stream.records import encode

    log_as_command()
    if (file is None) == (scored is None):
        raise click.UsageError("give either an archive FILE or --scored FILE")
    known = _read_events(events) if events else []
    if scored is not None:
        with _open_scored(scored) as placed:
            result = judge(
                placed, settings.alerts, settings.stream, window=window, name=str(scored), holes=scored.is_dir()
            )
    else:
        assert file is not None
        placed = _score_archive(settings, file, how)
        result = judge(placed, settings.alerts, settings.stream, window=window, name=str(file))
    if windows:
        windows.write_bytes(b"".join(encode(bucket) + b"\n" for bucket in result.buckets))
    if plot:
        draw(result, plot, events=known)
    if as_json:
        print_json(result.as_json())
    else:
        _show(result)


@contextmanager
def _open_scored(path: Path) -> "Iterator[Iterator[Placed]]":
    from alerts.backtest import from_archive, read_scored

    if path.is_dir():
        yield from_archive(path)
        return
    try:
        with path.open("rb") as lines:
            yield read_scored(lines, str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", fix="make it with `finsentry dump scored > FILE`") from error


def _score_archive(settings: Settings, file: Path, how: "ArchiveOptions") -> "Iterator[Placed]":
    from alerts.backtest import score
    from deploy.archives import published_documents
    from ingest.sources.archive import ArchiveSource
    from model.routing import RoutedClassifier
    from stream.scoring import by_language

    archive = ArchiveSource(file, settings.ingest, how)
    documents, rejected = published_documents(archive, settings.ingest)
    for one in rejected:
        click.echo(f"{file}, {one}", err=True)
    with (
        RoutedClassifier.load(settings.model) as classifier,
        progress_bar(documents, label="classifying") as shown,
    ):
        yield from score(shown, by_language(classifier.router, classifier.bundles), settings.stream)


def _read_events(path: Path) -> "list[Event]":
    from alerts.plot import Event

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [Event(_day(row["from"]), _day(row["to"]), row["what"]) for row in csv.DictReader(file, strict=True)]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", fix="check the path") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError(
            f"{path} is no list of events: {error}", fix="its columns are from, to (2020-02-19) and what"
        ) from error


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _show(result: "Backtest") -> None:
    start, end = result.span
    click.echo(
        f"{result.counted:,} documents counted, {result.late:,} late, {result.dead:,} dead, {result.repeats:,} repeats,"
        f" from {start:%Y-%m-%d} to {end:%Y-%m-%d}"
    )
    for alert in result.alerts:
        until = f"{alert.ended_at:%Y-%m-%d %H:%M}" if alert.ended_at else "still firing"
        click.echo(f"{alert.started_at:%Y-%m-%d %H:%M} to {until:<16}  {alert.severity:<8}  {alert.topic}")
        click.echo(f"  {alert.reason}")
        for evidence in alert.evidence[:3]:
            click.echo(f"  - {evidence.title}")
    click.echo(f"{len(result.alerts)} alerts")
