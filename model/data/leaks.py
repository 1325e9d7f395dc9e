"""Texts that both train and are measured on: found, named and refused."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from model.data.examples import Example, first_of
from model.data.table import Place
from model.errors import InputError


class LeakError(InputError):
    """A text stands both in what trains and in what is measured on: no number made from it would mean anything."""


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
    sets: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for name, rows in evaluation.items():
        for example in rows:
            sets[example.key][name] = None
    found: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for example in pool:
        for name in sets.get(example.key, ()):
            found[example.source, name].append(example.place)
    return [
        Leak(source, name, len(places), str(places[0].path), first_of(places))
        for (source, name), places in found.items()
    ]


def refusal(leaks: Sequence[Leak]) -> LeakError:
    """What to say of `leaks` where a recipe refuses them: it names the first of them, and how many there are."""
    first, *others = leaks
    more = f"; besides, {sum(leak.rows for leak in others):,} in {len(others)} other pairs of sets" if others else ""
    return LeakError(
        f"{said(first)}{more}", fix='Remove them from what trains, or say `leaks = "drop"` at the top of the recipe.'
    )


def said(leak: Leak) -> str:
    """`posts.csv: 2 rows of 'posts', which trains, also in 'posts.validation': row 1 (line 2), ...`."""
    rows = "1 row" if leak.rows == 1 else f"{leak.rows:,} rows"
    return f"{leak.file}: {rows} of {leak.source!r}, which trains, also in {leak.evaluation!r}: {leak.first}"
