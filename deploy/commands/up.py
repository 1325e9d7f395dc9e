"""`finsentry up`: the whole pipeline on one machine."""

import sys
from pathlib import Path

import click

from deploy.commands.options import OutputFile, SpeedType, archive_options, with_settings
from deploy.local.run import LocalRun, RunOptions
from deploy.logs import log_as_command
from deploy.settings import Settings
from ingest.replay import Speed
from ingest.sources.archive import ArchiveOptions


@click.command(
    epilog="""\b
Examples:
  finsentry up --simulate
  finsentry up --replay headlines.csv --speed max --for 240 --report out.json
"""
)
@click.option("--replay", type=click.Path(path_type=Path), help="Publish this archive (CSV, JSONL, Parquet).")
@click.option(
    "--speed", type=SpeedType(), default="max", show_default=True, help="Times the archive's own pace, or max."
)
@click.option("--simulate", is_flag=True, help="Crawl a made-up web with a crisis in it.")
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so many seconds.")
@archive_options
@click.option("--report", type=OutputFile(), help="Write what a replay did, as JSON.")
@click.option("--crisis-start", type=click.FloatRange(min=0), help="Seconds until the made-up crisis.")
@click.option("--crisis-end", type=click.FloatRange(min=0), help="Seconds until it is over.")
@click.option("--crisis-every", type=click.FloatRange(min=0), help="Seconds from one crisis to the next.")
@click.option("--seed", type=int, help="What the made-up web publishes follows from it.")
@with_settings
def up(
    settings: Settings,
    *,
    replay: Path | None,
    speed: Speed,
    simulate: bool,
    seconds: float | None,
    how: ArchiveOptions,
    report: Path | None,
    crisis_start: float | None,
    crisis_end: float | None,
    crisis_every: float | None,
    seed: int | None,
) -> int:
    """Run the whole pipeline on this machine until Ctrl-C.

    Kafka (unless a broker is configured), Prometheus and Alertmanager (where they are installed), workers, alerts,
    the console, and what they feed on: the configured sources, an archive, or a made-up web. With --for a replay
    ends as soon as every row is accounted for. Exit code 1 where one is not.

    A replay begins with empty topics in the embedded Kafka; into a configured broker it publishes beside what is there,
    so give it a topics.prefix of its own. --simulate insists on one. Logs are in <data_folder>/live/logs, or
    replay/logs.
    """
    if replay is not None and simulate:
        raise click.UsageError("--replay and --simulate are two different runs")
    if report is not None and replay is None:
        raise click.UsageError("--report needs --replay FILE")
    if how != ArchiveOptions() and replay is None:
        raise click.UsageError("--column, --kind, --source, --language and --day-first need --replay FILE")
    simulation = {
        "--crisis-start": crisis_start,
        "--crisis-end": crisis_end,
        "--crisis-every": crisis_every,
        "--seed": seed,
    }
    given = {name: value for name, value in simulation.items() if value is not None}
    if given and not simulate:
        raise click.UsageError(f"{next(iter(given))} needs --simulate")
    log_as_command()
    options = RunOptions(
        replay=replay,
        how=how,
        speed=speed,
        simulate=simulate,
        seconds=seconds,
        report=report,
        simulation=tuple(word for name, value in given.items() for word in (name, str(value))),
    )
    result = LocalRun(options, settings, _say, _progress if sys.stderr.isatty() else lambda _line: None).run()
    if result is None or not result.gaps:
        return 0
    for gap in result.gaps:
        click.echo(f"finsentry: not accounted for: {gap}", err=True)
    return 1


def _say(role: str, what: str) -> None:
    _clear()
    click.echo(f"{role:<14}{what}")


def _progress(line: str) -> None:
    click.echo(f"\r\033[K{line}", err=True, nl=False)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
