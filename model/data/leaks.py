"""Texts that both train and are measured on: found, named and refused."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from model.data.examples import Example, first_of
from model.data.table import Place
from model.errors import InputError


class LeakingRow(NamedTuple):
    """A row that trains and is measured on."""

    place: Place
    source: str
    evaluation: str


class LeakError(InputError):
    """A text stands both in what trains and in what is measured on: no number made from it would mean anything."""

    def __init__(self, message: str, *, fix: str, rows: Sequence[LeakingRow] = ()) -> None:
        super().__init__(message, fix=fix)
        self.rows = rows
        """All of them, where the message names the first few."""


class Leak(msgspec.Struct, frozen=True):
    """The rows of a training set whose texts also stand in an evaluation set."""

    source: str
    evaluation: str
    rows: int
    file: str
    first: str
    """The first of them: `row 2 (line 3), row 5 (line 9) and 8 more`."""


def find_leaks(pool: Sequence[Example], evaluation: Mapping[str, Sequence[Example]]) -> list[Leak]:
    """Of each source and each evaluation set that share texts; a row that stands in two such sets counts in both."""
    found: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for row in leaking_rows(pool, evaluation):
        found[row.source, row.evaluation].append(row.place)
    return [
        Leak(source, name, len(places), str(places[0].path), first_of(places))
        for (source, name), places in found.items()
    ]


def leaking_rows(pool: Iterable[Example], evaluation: Mapping[str, Sequence[Example]]) -> Iterator[LeakingRow]:
    """Every row of what trains whose text stands in an evaluation set, once for each such set."""
    sets: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for name, rows in evaluation.items():
        for example in rows:
            sets[example.key][name] = None
    for example in pool:
        for name in sets.get(example.key, ()):
            yield LeakingRow(example.place, example.source, name)


def refusal(leaks: Sequence[Leak], rows: Sequence[LeakingRow]) -> LeakError:
    """What to say of `leaks` where a recipe refuses them: it names the first of them, and how many there are."""
    first, *others = leaks
    more = f"; besides, {sum(leak.rows for leak in others):,} in {len(others)} other pairs of sets" if others else ""
    return LeakError(
        f"{said(first)}{more}",
        fix='Remove them from what trains, or say `leaks = "drop"` at the top of the recipe.',
        rows=rows,
    )


def write_rows(path: Path, rows: Iterable[LeakingRow]) -> None:
    """A CSV with a line for each: `file,row,line,trains_in,measured_in`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("file", "row", "line", "trains_in", "measured_in"))
        for one in rows:
            out.writerow((one.place.path, one.place.row, one.place.line, one.source, one.evaluation))


def said(leak: Leak) -> str:
    """`posts.csv: 2 rows of 'posts', which trains, also in 'posts.validation': row 1 (line 2), ...`."""
    rows = "1 row" if leak.rows == 1 else f"{leak.rows:,} rows"
    return f"{leak.file}: {rows} of {leak.source!r}, which trains, also in {leak.evaluation!r}: {leak.first}"
