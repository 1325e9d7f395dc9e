"""How commands print what a program reads, and how far they are."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

WIPE = "\r\x1b[K"
"""Clears the line of a terminal that something is drawn on anew and anew, so that something else can be said."""


def print_json(value: object) -> None:
    """Prints one JSON value in UTF-8: a line, as programs take it, or indented on a terminal."""
    import msgspec

    text = msgspec.json.encode(value, enc_hook=_plain)
    click.echo(msgspec.json.format(text, indent=2) if sys.stdout.isatty() else text)


def _plain(value: object) -> object:
    """A number of numpy as Python's. Raises `TypeError` for anything else."""
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def progress_bar(
    items: Iterable[Any] | None = None, *, label: str, length: int | None = None, **options: Any
) -> "ProgressBar[Any]":
    """click's bar over `items`, or up to `length`, on standard error; hidden where nobody looks, or nothing is done."""
    hidden = length == 0 or not sys.stderr.isatty()
    return click.progressbar(items, length=length, label=label, hidden=hidden, file=sys.stderr, **options)
