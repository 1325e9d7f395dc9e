"""`finsentry archive`: scored documents to Parquet files by day."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
from deploy.commands.output import print_json
from deploy.errors import FinSentryError
from deploy.logs import log_as_command, log_as_role
from deploy.settings import Settings
from deploy.stopping import stop_on_signals

if TYPE_CHECKING:
    from stream.archiver import Progress

LOCK = ".lock"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--follow", "-f", is_flag=True, help="Go on with what is scored, until Ctrl-C; a broker that is lost is waited for."
)
@click.option(
    "--every", type=click.FloatRange(min=1), default=600.0, show_default=True, help="Seconds between two files."
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Documents held in memory before they are written; about 1 kB each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@with_settings
def archive(settings: Settings, folder: Path, follow: bool, every: float, rows: int, as_json: bool) -> int:
    """Put the scored documents into FOLDER, as Parquet files by day: each once, however often this is killed.

    Needs a pipeline that was started once. Goes on where the files in FOLDER end. Kafka keeps scored documents for
    topics.documents_days; this keeps them for good. Read them with
    pandas.read_parquet("FOLDER"), judge them again with `finsentry backtest --scored FOLDER`, or name FOLDER as a
    source of a training recipe. Where some expired before they were put away, it says how many and ends with 1.

    With --follow it serves /metrics and /ready on the port metrics.archive, as the roles do on theirs. A broker that
    cannot be reached at the start is an error; one that is lost later is waited for. Two on one machine need two ports.

    \b
    Example:
      finsentry archive data/archive
      finsentry archive data/archive --follow --every 300
    """
    from deploy.local.broker import open_broker
    from deploy.local.lock import LockFile
    from stream.archiver import STAGE, Archiver
    from stream.roles import RoleServer
    from stream.topics import Topics

    if follow:
        log_as_role()
    else:
        log_as_command()
    lock = LockFile(folder / LOCK)
    if not lock.acquire():
        raise FinSentryError(
            f"{folder}: another `finsentry archive` writes there", fix="stop it, or take another folder"
        )

    def tell(progress: "Progress") -> None:
        if sys.stderr.isatty():
            click.echo(f"{progress.documents:,} documents archived, {progress.behind:,} records to go", err=True)

    server = RoleServer(STAGE, settings.metrics.archive, host=settings.metrics.host)
    try:
        if follow:
            server.start()
        with (
            stop_on_signals() as stop,
            open_broker(settings) as broker,
            Archiver(broker, Topics(settings.topics), folder, rows=rows) as archiver,
        ):
            server.ready()
            done = archiver.run(follow=follow, every_seconds=every, stopped=stop.is_set, told=tell, wait=stop.wait)
    finally:
        server.stop()
        lock.release()
    if as_json:
        print_json({**done._asdict(), "folder": str(folder)})
    else:
        click.echo(f"{done.documents:,} documents put into {folder}, of {done.records:,} records read")
    if done.expired:
        click.echo(f"finsentry: {done.expired:,} records had expired before they were archived", err=True)
        click.echo("  run it more often, or keep them longer: topics.documents_days", err=True)
    return 1 if done.expired else 0
