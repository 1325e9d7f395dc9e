"""Files of rows: CSV, JSON Lines and Parquet behind one interface. Knows nothing of documents."""

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ingest.errors import InputError

SNIFFED_BYTES = 8192
SNIFFED_LINES = 100
"""JSON Lines has no header: the columns are those of the first objects."""

FIELD_LIMIT = 16 * 1024 * 1024
"""Characters of one CSV cell. Beyond any text that is published, and the end of a quote that nobody closed."""

DELIMITERS = (",", ";", "\t")

MAGIC: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip data: unpack it first",
    b"PK\x03\x04": "a ZIP file or an Excel workbook: save the sheet as CSV (UTF-8)",
    b"PAR1": "Parquet: name it .parquet",
    b"BZh": "bzip2 data: unpack it first",
    b"\xfd7zXZ": "xz data: unpack it first",
    b"(\xb5/\xfd": "Zstandard data: unpack it first",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
    b"\xff\xfe": "UTF-16: convert it, as with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16: convert it, as with `iconv -f UTF-16 -t UTF-8`",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row's cells in the order of the table's columns, or what is wrong with it."""

    where: str
    """As a person would look for it in the file."""
    cells: Sequence[Any] = ()
    problem: str = ""


class Table(Protocol):
    """A file of rows."""

    columns: Sequence[str]

    def rows(self) -> Iterator[Row]:
        """From the first row, every time. A row that cannot be read has a `problem` and does not end the table."""
        ...


def open_table(path: Path) -> Table:
    """The table in a file, by its extension.

    Raises `InputError` naming the file, what was found in it and what to do, where it is no readable table.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist", fix="check the path")
    if path.is_dir():
        raise InputError(f"{path} is a directory", fix="name one CSV, JSON Lines or Parquet file in it")
    kinds = _kinds()
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        extension = f"the extension {path.suffix}" if path.suffix else "no extension"
        raise InputError(
            f"{path} has {extension}: it is none of {', '.join(kinds)}",
            fix="save it as CSV, JSON Lines (one object a line) or Parquet, with that extension",
        )
    try:
        with path.open("rb") as file:
            start = file.read(SNIFFED_BYTES)
        if not start:
            raise InputError(f"{path} is empty", fix="give a file with rows in it")
        if kind is not ParquetTable:
            check_is_text(str(path), start)
        return kind(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", fix="check its permissions") from error


def _kinds() -> Mapping[str, Callable[[Path], Table]]:
    return {".csv": CsvTable, ".jsonl": JsonLinesTable, ".ndjson": JsonLinesTable, ".parquet": ParquetTable}


def check_is_text(name: str, start: bytes) -> None:
    """Raises `InputError` where the first bytes of the file `name` are those of something else."""
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            raise InputError(f"{name} is no text file", fix=f"it looks like {what}")
    if b"\0" in start:
        at = start.index(b"\0")
        raise InputError(f"{name} is a binary file: byte {at} is zero", fix="give a text file in UTF-8, or Parquet")


class CsvTable:
    """CSV with a header, in UTF-8 with or without a byte order mark. Cells may span lines within quotes.

    Rows are counted as a spreadsheet does: the header is row 1, a row of several lines is one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.columns: Sequence[str]
        self.columns, self._delimiter = max(self._headers(), key=lambda found: len(found[0]))

    def rows(self) -> Iterator[Row]:
        # The limit belongs to the process, not to a reader; the default is shorter than the texts we take.
        csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            next(reader)
            number = 1
            while True:
                number += 1
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Row(_place(number, line), problem=_csv_problem(error, line, reader.line_num))
                    continue
                if cells:
                    yield Row(_place(number, line), cells, self._problem(cells))

    def _headers(self) -> list[tuple[list[str], str]]:
        """The header as each delimiter reads it that can. Raises `InputError` where none can."""
        found: list[tuple[list[str], str]] = []
        problems: list[csv.Error] = []
        for delimiter in DELIMITERS:
            try:
                found.append((self._header(delimiter), delimiter))
            except csv.Error as error:  # in `"time","text"` something else than a semicolon follows a quote
                problems.append(error)
        if not found:
            raise InputError(f"{self._path} has no readable header: {problems[0]}", fix="check its first line")
        return found

    def _header(self, delimiter: str) -> list[str]:
        with self._open() as file:
            header = next(csv.reader(file, delimiter=delimiter, strict=True), [])
        broken = _invalid_byte("".join(header))
        if broken:
            raise InputError(
                f"{self._path} is not UTF-8: byte {broken} in its header",
                fix="convert it, as with `iconv -f WINDOWS-1252 -t UTF-8`",
            )
        return [name.strip() for name in header]

    def _problem(self, cells: list[str]) -> str:
        if len(cells) != len(self.columns):
            return f"it has {len(cells)} cells, the header has {len(self.columns)}"
        for column, cell in zip(self.columns, cells, strict=True):
            broken = _invalid_byte(cell)
            if broken:
                return f"{column} is not valid UTF-8: byte {broken}"
        return ""

    def _open(self) -> Any:
        # A byte that is no UTF-8 becomes a lone surrogate, and the error of its row alone.
        return self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


class JsonLinesTable:
    """One JSON object a line, in UTF-8. A row is a line; blank ones are passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        columns: dict[str, None] = {}
        for _, value in islice(self._lines(), SNIFFED_LINES):
            if isinstance(value, dict):
                columns |= dict.fromkeys(value)
        if not columns:
            raise InputError(
                f"{path} holds no JSON object in its first {SNIFFED_LINES} lines",
                fix='write one object a line: {"text": "...", "published_at": "..."}',
            )
        self.columns: Sequence[str] = list(columns)

    def rows(self) -> Iterator[Row]:
        for number, value in self._lines():
            where = f"row {number}"
            if isinstance(value, dict):
                yield Row(where, [value.get(column) for column in self.columns])
            else:
                yield Row(where, problem=value)

    def _lines(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Line numbers with the object that stands there, or the reason why none does."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if not line.strip():
                    continue
                try:
                    value = msgspec.json.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    yield number, f"it is no JSON: {error}"
                    continue
                yield number, value if isinstance(value, dict) else f"it is a JSON {type(value).__name__}, no object"


class ParquetTable:
    """Parquet, read in batches. Rows are counted from 1."""

    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet  # 0.2 s that no other archive needs

        self._path = path
        self._pyarrow = pyarrow
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"{path} is no Parquet file: {error}", fix="check that it was written whole") from error
        self.columns: Sequence[str] = self._file.schema_arrow.names

    def rows(self) -> Iterator[Row]:
        number = 0
        for columns in self._batches():
            for cells in zip(*columns, strict=True):
                number += 1
                broken = next((name for name, cell in zip(self.columns, cells, strict=True) if cell is _BROKEN), "")
                yield Row(f"row {number}", cells, f"{broken} is not valid UTF-8" if broken else "")

    def _batches(self) -> Iterator[list[list[Any]]]:
        """The columns of each batch. Raises `InputError` where one is damaged: no row behind it can be found."""
        try:
            for batch in self._file.iter_batches():
                yield [self._values(column) for column in batch.columns]
        except (self._pyarrow.ArrowException, OSError, OverflowError) as error:
            raise InputError(
                f"{self._path} is damaged: {error}", fix="write it again, or fetch it again from where it came"
            ) from error

    def _values(self, column: Any) -> list[Any]:
        types = self._pyarrow.types
        if not (types.is_string(column.type) or types.is_large_string(column.type)):
            values: list[Any] = column.to_pylist()
            return values
        # As bytes, so that one string that is no UTF-8 costs its own row and not the batch.
        return [_decoded(value) for value in column.cast(self._pyarrow.large_binary()).to_pylist()]


_BROKEN = object()


def _decoded(value: bytes | None) -> object:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return _BROKEN


def _place(row: int, line: int) -> str:
    return f"row {row}" if row == line else f"row {row} (line {line})"


def _csv_problem(error: csv.Error, first: int, last: int) -> str:
    lines = f"line {first}" if first >= last else f"lines {first} to {last}"
    if "unexpected end" in str(error):
        return f"{lines}: a quote is opened and never closed, which swallows the rest of the file"
    return f"{lines}: {error}"


def _invalid_byte(text: str) -> str:
    """The first byte of `text` that was no UTF-8, as `0xE9`; empty where all were."""
    if text.isascii():
        return ""
    return next((f"0x{ord(character) - 0xDC00:02X}" for character in text if "\udc80" <= character <= "\udcff"), "")
