"""Labelled texts of one source, as its file gives them."""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model.bundle import DataFingerprint
from model.data.recipe import LABELS, Source
from model.data.table import Place, read_rows
from model.errors import InputError
from model.labels import Head
from model.text import clean

logger = logging.getLogger(__name__)

NAMED = 5
"""Rows that a message names: enough to see what is wrong with them, few enough for a line."""

LONG_TEXT = 20_000
"""Characters. No headline or post has as many: this is a quote that closes too late, or a page with its navigation."""

_WORD = re.compile(r"\w+")
_BETWEEN_HAN = re.compile(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")
"""Chinese has no spaces, so where one stands there was punctuation."""


@dataclass(frozen=True, slots=True)
class Example:
    """A cleaned text with the one label that its source gives, as an index into that head's labels."""

    text: str
    head: Head
    label: int
    source: str = ""
    classes: tuple[int, ...] = ()
    """What its source could have said, where that is less than its head: bears and bulls know no neutral."""
    place: Place = field(default=Place(Path(), 0), compare=False)
    """Where it was read."""

    @property
    def key(self) -> str:
        """Equal for texts that differ only in case, punctuation, URLs and white space: what leaks from set to set."""
        return key_of(self.text)


def key_of(text: str) -> str:
    """The key of an `Example` with this text, which is clean: its words, or itself where it has none."""
    return _BETWEEN_HAN.sub("", " ".join(_WORD.findall(text.casefold()))) or text


def read_source(source: Source, path: Path) -> list[Example]:
    """Rows of `path` in order, without those that have an empty cell or not one label (see `label_pattern`).

    What is passed over, and texts of which only the beginning can be read, are logged. Raises `InputError` that names
    the file and the row.
    """
    indices = {label: index for index, label in enumerate(LABELS[source.head])}
    ours = source.ours()
    known = tuple(sorted({indices[label] for label in ours.values()}))
    classes = known if len(known) < len(indices) else ()
    rows = read_rows(path, source.text, source.label)
    examples: list[Example] = []
    passed_over: defaultdict[str, list[Place]] = defaultdict(list)
    long: list[Place] = []
    for place, (text, cell) in rows:
        cleaned = clean(text)
        found = set(re.findall(source.label_pattern, cell)) if source.label_pattern else {cell}
        if not cleaned or len(found) != 1 or "" in found:
            passed_over[_why(cleaned, cell, found)].append(place)
            continue
        raw = found.pop()
        if raw not in ours:
            raise InputError(
                f"{place}: label {raw!r} is not in the recipe",
                fix=f"Map it under the source {source.name!r}: it knows {', '.join(ours)}.",
            )
        if len(text) > LONG_TEXT:
            long.append(place)
        examples.append(Example(cleaned, source.head, indices[ours[raw]], source.name, classes, place))
    _warn(source, path, len(rows), passed_over, long)
    return examples


def fingerprint(rows: Sequence[Example]) -> DataFingerprint:
    """How many rows, and a hash of their texts and labels in order."""
    digest = hashlib.sha256()
    for example in rows:
        digest.update(f"{example.head}\t{example.label}\t{example.text}\n".encode())
    return DataFingerprint(rows=len(rows), sha256=digest.hexdigest())


def first_of(places: Sequence[Place]) -> str:
    """The first of some rows of one file, and how many more there are: `row 2 (line 3), row 5 (line 9) and 8 more`."""
    said = ", ".join(place.within for place in places[:NAMED])
    return f"{said} and {len(places) - NAMED:,} more" if len(places) > NAMED else said


def _why(text: str, cell: str, labels: set[str]) -> str:
    if not text:
        return "without text"
    if not cell:
        return "without label"
    return "whose labels disagree" if len(labels) > 1 else "where the pattern finds no label"


def _warn(source: Source, path: Path, read: int, passed_over: dict[str, list[Place]], long: Sequence[Place]) -> None:
    if passed_over:
        logger.warning(
            "%s: source %r: of %s rows passed over %s",
            path,
            source.name,
            f"{read:,}",
            "; ".join(f"{len(places):,} {why} ({first_of(places)})" for why, places in passed_over.items()),
        )
    if long:
        logger.warning(
            "%s: source %r: texts of over %s characters, of which only the beginning is read: %s",
            path,
            source.name,
            f"{LONG_TEXT:,}",
            first_of(long),
        )
