"""Scored documents in Parquet files by day: how a folder of them is laid out, written and read back.

    FOLDER/day=2026-11-22/2-000000001041-000000003210.parquet      partition 2 of `scored`, offsets 1041 to 3210

A file is complete or not there, and its name says which stretch of the log it stands for, so the folder itself knows
what it holds: whoever writes it goes on after the last stretch of each partition, and nothing is in it twice. The day
is that of the append to `documents`, which only grows within a partition: old news do not open old folders.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stream.errors import InputError
from stream.records import ScoredDocument

_FILE = re.compile(r"^(\d+)-(\d+)-(\d+)\.parquet$")
_FOLDER = re.compile(r"^day=(\d{4}-\d{2}-\d{2})$")
_ORIGIN = b"finsentry.origin"
"""Key of the highest `origin` up to a file's end: what follows at or below it is a repeat."""
UNFINISHED = ".unfinished-"
"""Before the name of a file that is being written; what begins with a dot pandas and pyarrow pass over."""

_TIME = pa.timestamp("us", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("origin", pa.int64()),
        ("appended_at", _TIME),
        ("watermark", _TIME),
        ("id", pa.string()),
        ("story", pa.string()),
        ("title", pa.string()),
        ("url", pa.string()),
        ("source", _NAME),
        ("source_kind", _NAME),
        ("published_at", _TIME),
        ("topic", _NAME),
        ("topic_probability", pa.float64()),
        ("sentiment", _NAME),
        ("negative", pa.float64()),
        ("neutral", pa.float64()),
        ("positive", pa.float64()),
        ("model", _NAME),
        ("language", _NAME),
        ("fallback", pa.bool_()),
    ]
)
"""One row a document. `offset` is its place in `scored`, `origin` that in `documents`."""


class Entry(NamedTuple):
    """A record of `scored` and where it stands."""

    partition: int
    offset: int
    appended: datetime
    document: ScoredDocument


class Part(NamedTuple):
    """One file: a stretch of one partition's log."""

    partition: int
    first: int
    last: int
    day: date

    @property
    def name(self) -> str:
        return f"day={self.day}/{self.partition}-{self.first:012}-{self.last:012}.parquet"


class Shelf(NamedTuple):
    """Where a partition goes on."""

    position: int
    """The first offset of `scored` that no file stands for."""
    origin: int
    """The highest `origin` below it."""


class Written(NamedTuple):
    """What became of a stretch."""

    shelf: Shelf
    """Where it goes on."""
    documents: int
    files: int


def parts_in(folder: Path) -> list[Part]:
    """The files of an archive by partition and offset; what bears another name is none.

    Raises `InputError` where two of them stand for the same offset.
    """
    found = []
    for path in folder.glob("day=*/*.parquet"):
        day, file = _FOLDER.match(path.parent.name), _FILE.match(path.name)
        if day and file:
            partition, first, last = map(int, file.groups())
            with suppress(ValueError):  # no day of the calendar
                found.append(Part(partition, first, last, date.fromisoformat(day[1])))
    found.sort()
    for one, other in pairwise(found):
        if one.partition == other.partition and other.first <= one.last:
            raise InputError(
                f"{folder}: {one.name} and {other.name} stand for the same records",
                fix="keep one of the two: the archives of two deployments do not mix",
            )
    return found


def shelves(folder: Path) -> dict[int, Shelf]:
    """Where each partition goes on; those with no file are not in it. Raises `InputError` as `parts_in` does."""
    latest = {part.partition: part for part in parts_in(folder)}
    return {number: Shelf(part.last + 1, _origin_of(folder / part.name)) for number, part in latest.items()}


def remove_unfinished(folder: Path) -> None:
    """Removes what writers that were killed had begun. For who alone writes there."""
    for path in folder.glob(f"day=*/{UNFINISHED}*"):
        path.unlink(missing_ok=True)


def without_repeats(entries: Iterable[Entry], origin: int) -> tuple[list[Entry], int]:
    """The documents among one partition's records, each once, and the highest origin of all; dead ones left out.

    A scorer that died may have written a stretch twice: as for the counts, the first stands.
    """
    kept = []
    for entry in entries:
        if entry.document.origin > origin:
            origin = entry.document.origin
            if not entry.document.dead:
                kept.append(entry)
    return kept, origin


def write_parts(folder: Path, partition: int, entries: Sequence[Entry], shelf: Shelf, position: int) -> Written:
    """Puts the log from `shelf` to `position` (exclusive) away. Raises `OSError` where it cannot.

    A file for each day, one after the other, each forced to the disk: a crash in between leaves whole files of a
    shorter stretch. A stretch with no document in it leaves nothing, and is read again after a crash.
    """
    kept, origin = without_repeats(entries, shelf.origin)
    days: dict[date, list[Entry]] = defaultdict(list)
    latest = date.min
    for entry in kept:
        # The broker's clock may be set back; a later stretch must not stand in an earlier day's folder.
        latest = max(latest, entry.appended.astimezone(UTC).date())
        days[latest].append(entry)
    first = shelf.position
    for number, (day, rows) in enumerate(days.items(), start=1):
        is_last = number == len(days)
        last = position - 1 if is_last else rows[-1].offset
        _write(folder, Part(partition, first, last, day), rows, origin if is_last else rows[-1].document.origin)
        first = last + 1
    return Written(Shelf(position, origin), len(kept), len(days))


def read_archive(folder: Path) -> Iterator[Entry]:
    """Every document of the archive, partition by partition in the order of its log. Raises `InputError`."""
    parts = parts_in(folder)
    if not parts:
        raise InputError(f"{folder}: no archive here", fix="make one with `finsentry archive FOLDER`")
    for part in parts:
        path = folder / part.name
        try:
            table = pq.read_table(path, schema=SCHEMA, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: cannot be read: {error}", fix="restore the file, or remove it") from error
        for batch in table.to_batches():
            yield from map(_entry, batch.to_pylist())


def _write(folder: Path, part: Part, entries: Sequence[Entry], origin: int) -> None:
    path = folder / part.name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(UNFINISHED + path.name)
    table = pa.Table.from_pylist([_row(entry) for entry in entries], SCHEMA)
    pq.write_table(table.replace_schema_metadata({_ORIGIN: str(origin)}), unfinished, compression="zstd")
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
    for parent in (path.parent, folder):
        descriptor = os.open(parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the name, too
        finally:
            os.close(descriptor)


def _origin_of(path: Path) -> int:
    try:
        return int((pq.read_schema(path).metadata or {})[_ORIGIN])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a file of an archive: {type(error).__name__}: {error}",
            fix="restore it; or remove it, and its stretch is archived again while the topic still has it",
        ) from error


def _row(entry: Entry) -> dict[str, object]:
    negative, neutral, positive = entry.document.probabilities
    return {
        **msgspec.structs.asdict(entry.document),  # what the schema does not name is left out
        "partition": entry.partition,
        "offset": entry.offset,
        "appended_at": entry.appended,
        "negative": negative,
        "neutral": neutral,
        "positive": positive,
    }


def _entry(row: dict[str, object]) -> Entry:
    values = dict(row)
    partition, offset, appended = (values.pop(name) for name in ("partition", "offset", "appended_at"))
    probabilities = tuple(values.pop(name) for name in ("negative", "neutral", "positive"))
    assert isinstance(partition, int)
    assert isinstance(offset, int)
    assert isinstance(appended, datetime)
    return Entry(partition, offset, appended, ScoredDocument(**values, probabilities=probabilities))  # type: ignore[arg-type]
