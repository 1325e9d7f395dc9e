"""Texts out of a file or standard input, one at a time: lines, CSV, JSON Lines or Parquet."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import click

from deploy.errors import InputError
from ingest.sources.archive import ROLES
from ingest.sources.tables import SNIFFED_BYTES, Table, check_is_text, open_table
from model.text import says_nothing

Format = Literal["auto", "lines", "csv", "jsonl", "parquet"]
TABLES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row or line that holds no text, and why. Never fatal."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Readable:
    """The texts among what was found; what holds none is left out and counted."""

    def __init__(self, found: Iterable[str | Unreadable]) -> None:
        self._found = found
        self.left_out = 0
        self._first: Unreadable | None = None

    def __iter__(self) -> Iterator[str]:
        for one in self._found:
            if isinstance(one, Unreadable):
                self.left_out += 1
                self._first = self._first or one
            else:
                yield one

    def report(self) -> None:
        """Says on standard error what was left out so far, if anything."""
        if self.left_out:
            message = f"{self.left_out:,} rows without a text are left out; the first: {self._first}"
            click.echo(message, err=True)


def read_texts(file: Path | None, form: Format = "auto", column: str = "") -> Iterator[str | Unreadable]:
    """The texts of `file`, or of standard input for None.

    A table is known by the file's extension or by `form`; its text stands in `column`, else in the first column with
    a usual name. Raises `InputError` where the input is no text or has no such column, as lines have none.
    """
    if file is None:
        yield from _read_standard_input(form, column)
        return
    if form == "auto":
        form = TABLES.get(file.suffix.lower(), "lines")  # type: ignore[assignment] # its values are formats
    if form != "lines":
        yield from _read_table(_open_as(file, form), str(file), column)
        return
    if file.is_dir():
        raise InputError(f"{file} is a directory", fix="name one file in it")
    try:
        with file.open("rb") as lines:
            yield from _read_lines(lines, str(file), column)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}", fix="check the path and its permissions") from error


def _read_standard_input(form: Format, column: str) -> Iterator[str | Unreadable]:
    if form in ("auto", "lines"):
        yield from _read_lines(sys.stdin.buffer, "standard input", column)
        return
    with tempfile.NamedTemporaryFile(suffix=f".{form}") as copy:  # tables are read twice: columns first
        while chunk := sys.stdin.buffer.read(1 << 20):
            copy.write(chunk)
        copy.flush()
        try:
            yield from _read_table(open_table(Path(copy.name)), "standard input", column)
        except InputError as error:  # nobody knows the copy by its name
            raise InputError(error.message.replace(copy.name, "standard input"), fix=error.fix) from error


def _open_as(file: Path, form: str) -> Table:
    if TABLES.get(file.suffix.lower()) != form:
        raise InputError(f"{file} is not called .{form}", fix=f"name it .{form}, or leave --format out")
    return open_table(file)


def _read_table(table: Table, name: str, column: str) -> Iterator[str | Unreadable]:
    index = _text_column(table, name, column)
    for row in table.rows():
        text = row.cells[index] if not row.problem else None
        if not isinstance(text, str) or not text.strip():
            yield Unreadable(f"{name}, {row.where}", row.problem or "it has no text")
        else:
            yield _said(text, f"{name}, {row.where}")


def _said(text: str, where: str) -> str | Unreadable:
    return Unreadable(where, "it holds nothing but links and what cannot be seen") if says_nothing(text) else text


def _text_column(table: Table, name: str, column: str) -> int:
    wanted = [column] if column else ROLES["text"]
    places = {known.strip().casefold(): index for index, known in enumerate(table.columns)}
    for one in wanted:
        if one.casefold() in places:
            return places[one.casefold()]
    what = f"column {column!r}" if column else "text column"
    listed = ", ".join(table.columns)
    raise InputError(f"{name} has no {what}; its columns are: {listed}", fix="say which it is with --column NAME")


def _read_lines(lines: BinaryIO, name: str, column: str) -> Iterator[str | Unreadable]:
    if column:
        raise InputError(
            f"{name} is read as lines, which have no column {column!r}",
            fix=f"leave --column out; files with columns are called {', '.join(TABLES)}, and --format says what"
            " standard input is",
        )
    seen = False
    start = b""
    for number, line in enumerate(lines, start=1):
        if len(start) < SNIFFED_BYTES:
            start += line[:SNIFFED_BYTES]
            check_is_text(name, start)
        if not line.strip():
            continue
        seen = True
        where = f"{name}, line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            yield Unreadable(where, f"it is not valid UTF-8: byte 0x{line[error.start]:02X}")
        else:
            yield _said(text, where)
    if not seen:
        raise InputError(f"{name} is empty", fix="give one text a line")
