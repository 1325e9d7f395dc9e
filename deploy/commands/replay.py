"""`finsentry replay`: publishes an archive."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from deploy.commands.options import SpeedType, archive_options, with_settings
from deploy.commands.output import print_json
from deploy.logs import log_as_command
from deploy.settings import Settings
from deploy.stopping import stop_on_signals

if TYPE_CHECKING:
    from ingest.replay import ReplayResult
    from ingest.sources.archive import ArchiveOptions


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--speed", type=SpeedType(), default="max", show_default=True, help="How many times its own speed; max: at once."
)
@archive_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@with_settings
def replay(
    settings: Settings,
    file: Path,
    speed: float | Literal["max"],
    how: "ArchiveOptions",
    as_json: bool,
) -> int:
    """Publish an archive (CSV, JSON Lines or Parquet) in event order.

    Columns are found by name. A bad row is reported with its number and passed over. Documents that were published
    before are recognised. Exit code 1 where it was stopped before the end.

    \b
    Example:
      printf 'date,text\\n2020-03-09,Bank shares crash\\n' > sample.csv
      finsentry replay sample.csv --speed max
    """
    from deploy.local.broker import open_broker
    from ingest.publisher import open_publisher
    from ingest.replay import replay as run_replay
    from ingest.sources.archive import ArchiveSource
    from stream.topics import Topics

    log_as_command()
    ArchiveSource(file, settings.ingest, how)  # a file that cannot be read is said before a broker is looked for
    with (
        stop_on_signals() as stop,
        open_broker(settings) as broker,
        open_publisher(settings.ingest, broker, Topics(settings.topics)) as publisher,
    ):
        done = run_replay(file, publisher, settings.ingest, speed=speed, options=how, stop=stop, progress=_progress())
    if as_json:
        print_json(done)
    else:
        _show(file, done)
    return 1 if done.unsent else 0


def _progress() -> Callable[[int, int], None]:
    """Draws on a terminal; a log has no use for it."""
    if not sys.stderr.isatty():
        return lambda _done, _total: None

    def draw(done: int, total: int) -> None:
        click.echo(f"\r{done:,} of {total:,} documents", nl=done == total, err=True)

    return draw


def _show(file: Path, done: "ReplayResult") -> None:
    for rejection in done.rejections:
        click.echo(f"{file}, {rejection}", err=True)
    if done.rejected > len(done.rejections):
        click.echo(f"... and {done.rejected - len(done.rejections):,} more rows were rejected", err=True)
    click.echo(
        f"{done.rows:,} rows: {done.rejected:,} rejected, {done.published:,} published,"
        f" of them {done.duplicates:,} known before and {done.copies:,} copies of a story, in {done.seconds:.1f} s"
    )
    if done.unsent:
        click.echo(f"stopped: {done.unsent:,} documents were not sent; replay the file again to send them", err=True)
