"""Options that several commands share."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, get_args

import click

from deploy.settings import FILE_VARIABLE, Settings, load_settings
from stream.records import SourceKind

P = ParamSpec("P")
R = TypeVar("R")

PICTURES = (".png", ".svg", ".pdf")


class SpeedType(click.ParamType):
    """How many times faster than its own dates an archive is replayed: a number above 0, or `max`."""

    name = "N|max"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["max"]:
        if value == "max":
            return "max"
        try:
            speed = float(str(value))
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r} is neither a number above 0 nor max", param, ctx)
        return speed


class OutputFile(click.ParamType):
    """A writable output path, checked before the long computation whose result it takes."""

    name = "file"

    def __init__(self, extensions: tuple[str, ...] = ()) -> None:
        self._extensions = extensions

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(str(value))
        if self._extensions and path.suffix.lower() not in self._extensions:
            self.fail(f"{path} is none of {', '.join(self._extensions)}", param, ctx)
        if path.is_dir():
            self.fail(f"{path} is a directory", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"there is no folder {path.parent}", param, ctx)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            self.fail(f"{path} cannot be written", param, ctx)
        return path


def archive_options(function: Callable[..., R]) -> Callable[..., R]:
    """Adds what says how an archive is read, and hands it to the command as `how`, an `ArchiveOptions`."""

    @click.option("--column", "columns", multiple=True, metavar="ROLE=NAME", help="Which column is text, time, title.")
    @click.option("--kind", type=click.Choice(get_args(SourceKind)), default="news", show_default=True)
    @click.option("--source", default="", help="Name of the source; default: the file's name.")
    @click.option("--language", default="", metavar="XX", help="ISO 639-1, where no column has it.")
    @click.option("--day-first", is_flag=True, help="03/04/2020 means 3 April.")
    @functools.wraps(function)
    def call(
        *args: Any,
        columns: tuple[str, ...],
        kind: SourceKind,
        source: str,
        language: str,
        day_first: bool,
        **kwargs: Any,
    ) -> R:
        from ingest.sources.archive import ArchiveOptions

        how = ArchiveOptions(_columns(columns), kind, source, language, day_first)
        return function(*args, how=how, **kwargs)

    return call


def _columns(given: tuple[str, ...]) -> dict[str, str]:
    """`("text=Headlines",)` as `{"text": "Headlines"}`."""
    columns = {}
    for one in given:
        role, equals, name = one.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{one!r} is not ROLE=NAME, such as text=Headlines", param_hint="--column")
        columns[role] = name
    return columns


def text_options(function: Callable[P, R]) -> Callable[P, R]:
    """Adds what says how `deploy.texts.read_texts` reads a file: `form`, a `Format`, and `column`."""
    column = click.option(
        "--column", default="", metavar="NAME", help="The column or key with the text, where it is not found."
    )
    form = click.option(
        "--format",
        "form",
        type=click.Choice(["auto", "lines", "csv", "jsonl", "parquet"]),
        default="auto",
        show_default=True,
        help="`lines`, whatever the file's name; else what standard input is: a file says it by its extension.",
    )
    return form(column(function))


def with_settings(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Adds `--settings FILE` and hands the checked settings to the command as its first argument."""

    @click.option(
        "--settings",
        "settings_file",
        type=click.Path(path_type=Path),
        help=f"Settings file; default: {FILE_VARIABLE}, else ./finsentry.toml if there is one.",
    )
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        file = kwargs.pop("settings_file")
        assert file is None or isinstance(file, Path)
        if file is not None:  # what the command starts reads the same file
            os.environ[FILE_VARIABLE] = str(file.absolute())
        return function(load_settings(file), *args, **kwargs)

    return call
