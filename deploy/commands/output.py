"""How commands print what a program reads, and how far they are."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


def print_json(value: object) -> None:
    """Prints one JSON value in UTF-8: a line, as programs take it, or indented on a terminal."""
    import msgspec

    text = msgspec.json.encode(value, enc_hook=float)  # numpy's float64 is a float to all but msgspec
    click.echo(msgspec.json.format(text, indent=2) if sys.stdout.isatty() else text)


def progress_bar(
    items: Iterable[Any] | None = None, *, label: str, length: int | None = None, **options: Any
) -> "ProgressBar[Any]":
    """click's bar over `items`, or up to `length`, on standard error; hidden where nobody looks, or nothing is done."""
    hidden = length == 0 or not sys.stderr.isatty()
    return click.progressbar(items, length=length, label=label, hidden=hidden, file=sys.stderr, **options)
