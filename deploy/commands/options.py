"""Options that several commands share."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

import click

from deploy.settings import FILE_VARIABLE, Settings, load_settings

P = ParamSpec("P")
R = TypeVar("R")


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


def column_options(given: tuple[str, ...]) -> dict[str, str]:
    """`("text=Headlines",)` as `{"text": "Headlines"}`."""
    columns = {}
    for one in given:
        role, equals, name = one.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{one!r} is not ROLE=NAME, such as text=Headlines", param_hint="--column")
        columns[role] = name
    return columns


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
