"""Rows of a CSV, Parquet, JSON or JSONL file as strings, each with the place where it stands."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from model.errors import InputError

FIELD_LIMIT = 16 * 1024 * 1024
"""Characters of a CSV cell: far above any text, and Python's own 131,072 are below some. `ingest` has the same, as
there is one limit to a process."""

AN_OBJECT_A_LINE = 'Write an object a line: {"text": "...", "label": "..."}. One JSON value as a whole is called .json.'
JSON_LINES = {".jsonl", ".ndjson"}


class Place(NamedTuple):
    """Where a row stands. Rows count from 1, a CSV's header not among them."""

    path: Path
    row: int
    line: int | None = None
    """Of a CSV or JSONL: where the row begins. A cell may span lines, the header has one too, and some are blank."""

    @property
    def within(self) -> str:
        """Without the file: `row 2 (line 6)`."""
        return f"row {self.row}" if self.line is None else f"row {self.row} (line {self.line})"

    def __str__(self) -> str:
        return f"{self.path}: {self.within}"


def read_rows(path: Path, *columns: str) -> list[tuple[Place, list[str]]]:
    """The cells of `columns` in each row of `path`, "" where there is no value.

    `path` is a file by its extension, or a folder of Parquet files, as an archive is. Rows without any cell are passed
    over. Raises `InputError` that names the file, what is wrong with it and where.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file", fix="Give the folder that holds the recipe's data.")
    try:
        if path.suffix == ".csv" and path.is_file():
            return _from_csv(path, columns)
        if path.suffix in JSON_LINES and path.is_file():
            return _from_json_lines(path, columns)
        frame = _frame(path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {_where_not_utf8(path)}", fix="Convert the file to UTF-8.") from error
    except (ValueError, OSError) as error:
        fix = "Fetch the file again"
        fix += ", or call it .jsonl if it is one object a line." if path.suffix == ".json" else "."
        raise InputError(f"{path}: cannot be read: {error}", fix=fix) from error
    _positions(path, list(frame.columns), columns)
    # Through `object`, because a column of numbers takes no "".
    cells = [frame[column].astype(object).where(frame[column].notna(), "") for column in columns]
    return [
        (Place(path, number), [str(cell) for cell in row]) for number, row in enumerate(zip(*cells, strict=True), 1)
    ]


def _frame(path: Path) -> pd.DataFrame:
    # Nullable types: else one row without a label makes the labels of all others 0.0 and 1.0.
    if path.is_dir():
        frame = pd.read_parquet(path, dtype_backend="numpy_nullable")
        if frame.columns.empty:
            raise InputError(f"{path}: this folder holds no Parquet files", fix="Name a file, or a folder with some.")
        return frame
    if path.suffix == ".parquet":
        return pd.read_parquet(path, dtype_backend="numpy_nullable")
    if path.suffix == ".json":
        # A file of lists has no names: its columns are "0", "1" and so on.
        return pd.read_json(path, dtype=False, dtype_backend="numpy_nullable").rename(columns=str)
    raise InputError(f"{path}: neither .csv, .parquet, .json nor .jsonl", fix="Convert it to one of them.")


def _from_csv(path: Path, columns: Sequence[str]) -> list[tuple[Place, list[str]]]:
    records = _records(path)
    _, header = next(records, (0, []))
    if not header:
        raise InputError(f"{path}: is empty, without even a header", fix="Give a file whose first line names columns.")
    positions = _positions(path, header, columns)
    rows = []
    for number, (line, cells) in enumerate(records, start=1):
        place = Place(path, number, line)
        if len(cells) != len(header):
            raise InputError(
                f"{place}: {len(cells)} cells instead of {len(header)}; quote commas",
                fix='A cell that holds a comma is written "in quotes, as here".',
            )
        rows.append((place, [cells[position] for position in positions]))
    return rows


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Every record that is no blank line, the header too, with the line where it begins."""
    # The limit belongs to the process, not to a reader.
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        begins = 1
        try:
            for cells in reader:
                if len(cells) > 1 or any(cell.strip() for cell in cells):
                    yield begins, cells
                begins = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"{path}: {_quoting(str(error), begins, reader.line_num)}",
                fix="Close it. Within a cell in quotes, a quote is written twice.",
            ) from error


def _quoting(error: str, begins: int, line: int) -> str:
    if "unexpected end" in error:
        return f"a quote is not closed, starting at line {begins}"
    if "expected after" in error:
        return f"line {line}: text after a closing quote, in the row that begins at line {begins}"
    return f"line {line}: {error}"


def _from_json_lines(path: Path, columns: Sequence[str]) -> list[tuple[Place, list[str]]]:
    """A row is a line that is not blank; an object may lack a column that others have."""
    rows: list[tuple[Place, list[str]]] = []
    there: dict[str, None] = {}
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                place = Place(path, len(rows) + 1, line)
                found = _object(place, text)
                there |= dict.fromkeys(found)
                rows.append((place, [_cell(found.get(column)) for column in columns]))
    if not rows:
        raise InputError(f"{path}: is empty, without a single row", fix=AN_OBJECT_A_LINE)
    _positions(path, list(there), columns)
    return rows


def _object(place: Place, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: no JSON: {error.msg} at character {error.colno}", fix=AN_OBJECT_A_LINE) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand lists in each other
        raise InputError(f"{place}: no JSON that can be read: {error}", fix=AN_OBJECT_A_LINE) from error
    if not isinstance(found, dict):
        raise InputError(f"{place}: a JSON {type(found).__name__}, no object", fix=AN_OBJECT_A_LINE)
    return found


def _cell(value: object) -> str:
    """As the other kinds of files have it: whole numbers without a point, "" for null and NaN."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _positions(path: Path, there: list[str], columns: Sequence[str]) -> list[int]:
    for column in columns:
        if column not in there:
            raise InputError(
                f"{path}: no column {column!r}, only {', '.join(map(str, there))}",
                fix="Name the file's own columns under `text` and `label` of this source in the recipe.",
            )
    return [there.index(column) for column in columns]


def _where_not_utf8(path: Path) -> str:
    """Line and byte, which the reader does not tell."""
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"line {line}: byte 0x{content[error.start]:02X} is not UTF-8"
    return "not UTF-8"
