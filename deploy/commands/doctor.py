"""`finsentry doctor`: what is configured, reachable and fast enough; with `--tune`, what would be faster."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import PICTURES, OutputFile, with_settings
from deploy.commands.output import print_json, progress_bar
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings, variable

if TYPE_CHECKING:
    from model.tuning import Tuning

SIGNS = {"ok": "ok", "note": "note", "warning": "WARNING", "broken": "BROKEN"}

MOST_TEXTS = 8192
"""More of a file say no more about its lengths."""


@click.command()
@click.option("--tune", is_flag=True, help="Measure which model.threads and model.batch_tokens are fastest here.")
@click.option(
    "--texts", type=click.Path(path_type=Path), help="With --tune: texts of your own; a line each, or a table."
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=60, show_default=True, help="With --tune: about how long."
)
@click.option("--plot", type=OutputFile(PICTURES), help="With --tune: draw it into this .png, .svg or .pdf.")
@click.option("--write", is_flag=True, help="With --tune: put what is faster into the settings file.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of checks; with --tune, an object.")
@with_settings
def doctor(
    settings: Settings,
    tune: bool,
    texts: Path | None,
    seconds: float,
    plot: Path | None,
    write: bool,
    as_json: bool,
) -> int:
    """Check what a run needs, and say what to do about what is missing.

    Exit code 1 where something needed is broken; a warning is a promise that would not hold, such as documents that go
    with one disk of a cluster. Starts no server and changes nothing, but for --write.

    With --tune it measures instead: each number of threads with each size of batch, in turn, so that a busy machine is
    busy for all; then the fastest against the present settings once more. It says so where the difference is noise.

    \b
    Example:
      finsentry doctor
      finsentry doctor --tune --texts headlines.csv --plot tuning.png --write
    """
    log_as_command()
    if tune:
        _tune(settings, texts, seconds, plot, write, as_json)
        return 0
    if texts or plot or write:
        raise click.UsageError("--texts, --plot and --write go with --tune")
    return _examine(settings, as_json)


def _examine(settings: Settings, as_json: bool) -> int:
    from deploy.doctor import examine

    checks = []
    for check in examine(settings):
        checks.append(check)
        if not as_json:
            click.echo(f"{SIGNS[check.state]:<8}{check.name:<18}{check.found}")
            if check.state != "ok" and check.fix:
                click.echo(f"{'':<26}{check.fix}")
    if as_json:
        print_json(checks)
    return 1 if any(check.state == "broken" for check in checks) else 0


def _tune(settings: Settings, file: Path | None, seconds: float, plot: Path | None, write: bool, as_json: bool) -> None:
    from deploy.settings_file import settings_file, write_keys
    from deploy.tuning import as_object, settings_of
    from model.classifier import Classifier
    from model.cores import usable_cores
    from model.sample_texts import sample_texts
    from model.tuning import tune
    from model.tuning_plot import draw_tuning

    texts = _read(file) if file else sample_texts(MOST_TEXTS)
    with (
        Classifier.load(settings.model) as classifier,
        progress_bar(length=round(seconds), label="measuring") as bar,
    ):
        done = 0.0

        def progress(more: float) -> None:
            nonlocal done
            done += more
            bar.update(min(round(done), round(seconds)) - bar.pos)

        tuning = tune(classifier, texts, cores=usable_cores(), seconds=seconds, progress=progress)
    if plot:
        draw_tuning(tuning, plot)
    written = settings_file() if write and tuning.worth_it else None
    if written:
        write_keys(written, "model", settings_of(tuning.best))
    if as_json:
        print_json(as_object(tuning) | {"written": str(written) if written else None})
    else:
        _show(tuning, written)
    for key in settings_of(tuning.best):
        if written and variable(f"model.{key}") in os.environ:
            click.echo(f"note: {variable(f'model.{key}')} is set and overrides what was written", err=True)


def _read(file: Path) -> Sequence[str]:
    from itertools import islice

    from deploy.texts import Readable, read_texts

    readable = Readable(read_texts(file))
    texts = list(islice(readable, MOST_TEXTS))
    readable.report()
    if not texts:
        raise InputError(f"{file}: holds no text", fix="give a file with a text a line, or a table with a text column")
    return texts


def _show(tuning: "Tuning", written: Path | None) -> None:
    from deploy.settings_file import lines
    from deploy.tuning import settings_of, table, verdict

    rounds = len(tuning.sweep[0].rounds)
    click.echo(f"{tuning.texts:,} texts in each of {rounds} rounds, on {tuning.placement.provider}; medians\n")
    click.echo("\n".join(table(tuning)))
    if tuning.placement.provider == "tensorrt":
        click.echo(
            f"\nTensorRT's engine is built for the present {tuning.present.batch_tokens:,} tokens a batch, so no larger"
            " batch was tried; to try larger ones, set model.batch_tokens to the largest and run this again"
        )
    click.echo(f"\n{verdict(tuning)}")
    if written:
        click.echo(f"Written to {written}.")
    elif tuning.worth_it:
        click.echo(
            f"To use them, --write, or put this into the settings file:\n\n{lines('model', settings_of(tuning.best))}"
        )
