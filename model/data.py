"""Labelled texts from files, split so that nothing measured on was trained on."""

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from model.bundle import DataFingerprint
from model.errors import InputError
from model.recipe import CONFIGS, LABELS, Head, Recipe, Source
from model.text import clean

logger = logging.getLogger(__name__)

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Example:
    """A cleaned text with the one label that its source gives, as an index into that head's labels."""

    text: str
    head: Head
    label: int
    source: str = ""
    classes: tuple[int, ...] = ()
    """What its source could have said, where that is less than its head: bears and bulls know no neutral."""

    @property
    def key(self) -> str:
        """Equal for texts that differ only in case, punctuation, URLs and white space: what leaks from set to set."""
        return " ".join(_WORD.findall(self.text.casefold()))


@dataclass(frozen=True, slots=True)
class Splits:
    """What trains, what tempers, and what is only measured on (by the name of its set)."""

    train: list[Example]
    calibration: list[Example]
    evaluation: dict[str, list[Example]]
    fingerprints: dict[str, DataFingerprint] = field(default_factory=dict)
    """By source and split, of what was read, before anything was dropped."""


class LeakError(InputError):
    """A text stands both in what trains and in what is measured on: no number made from it would mean anything."""


def load_splits(recipe: Recipe, root: Path) -> Splits:
    """Everything the recipe names under `root`, without leaks. Raises `InputError` naming the file and row."""
    pool: list[Example] = []
    evaluation: dict[str, list[Example]] = {}
    fingerprints: dict[str, DataFingerprint] = {}
    for source in recipe.sources:
        for split, rows in _read_splits(source, root):
            if split != "holdout":
                fingerprints[f"{source.name}.{split}"] = fingerprint(rows)
            if split == "train":
                pool.extend(rows)
            else:
                evaluation[f"{source.name}.{split}"] = rows
    kept = without_repeats(without_leaks(pool, evaluation))
    _require_two_classes_a_head(recipe, kept)
    calibration = [e for e in kept if share_of(e.key, "calibration") < recipe.training.calibration]
    repeat = {source.name: source.repeat for source in recipe.sources}
    train = [
        e
        for e in kept
        if share_of(e.key, "calibration") >= recipe.training.calibration
        for _ in range(repeat[e.source])
    ]
    logger.info("data read=%d kept=%d train=%d calibration=%d", len(pool), len(kept), len(train), len(calibration))
    splits = Splits(train, calibration, evaluation, fingerprints)
    require_no_leaks(splits)
    return splits


def load_evaluation(recipe: Recipe, root: Path) -> Splits:
    """What the recipe holds out under `root`, with nothing that trains; reads of `train` only what has a holdout."""
    evaluation: dict[str, list[Example]] = {}
    fingerprints: dict[str, DataFingerprint] = {}
    for source in recipe.sources:
        needed = source if source.holdout else source.model_copy(update={"train": None})
        for split, rows in _read_splits(needed, root):
            if split != "holdout":
                fingerprints[f"{source.name}.{split}"] = fingerprint(rows)
            if split != "train":
                evaluation[f"{source.name}.{split}"] = rows
    if not evaluation:
        raise InputError(
            f"the recipe {recipe.name!r} holds nothing out, so there is nothing to measure on",
            fix="Give a source `evaluation` or `holdout`.",
        )
    return Splits([], [], evaluation, fingerprints)


def read_source(source: Source, path: Path) -> list[Example]:
    """Rows of `path` in order, without those whose labels disagree (see `label_pattern`) or that have an empty cell."""
    frame = _read_frame(path)
    for column in (source.text, source.label):
        if column not in frame.columns:
            raise InputError(
                f"{path}: no column {column!r}, only {', '.join(map(str, frame.columns))}",
                fix=f"Name its columns in the recipe's source {source.name!r}.",
            )
    texts, labels = (frame[column].where(frame[column].notna(), "") for column in (source.text, source.label))
    return list(_examples(source, path, zip(texts, labels, strict=True)))


def without_leaks(pool: Iterable[Example], evaluation: dict[str, list[Example]]) -> list[Example]:
    """The examples whose text stands in no evaluation set, of whichever source and head."""
    held_out = {example.key for rows in evaluation.values() for example in rows}
    return [example for example in pool if example.key not in held_out]


def without_repeats(pool: Iterable[Example]) -> list[Example]:
    """The first example of each text and head."""
    first: dict[tuple[str, Head], Example] = {}
    for example in pool:
        first.setdefault((example.key, example.head), example)
    return list(first.values())


def require_no_leaks(splits: Splits) -> None:
    """Raises `LeakError` if a text is on two sides of the split."""
    train = {example.key for example in splits.train}
    others = {"calibration": splits.calibration, **splits.evaluation}
    for name, rows in others.items():
        for example in rows:
            if example.key in train:
                raise LeakError(
                    f"{name}: {example.text[:80]!r} also stands in what trains",
                    fix="Split with `model.data.load_splits`, which drops such texts from training.",
                )


def share_of(key: str, purpose: str) -> float:
    """A number in [0, 1) that depends on the text and the purpose alone: a split that no seed or order changes."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, person=purpose.encode()[:16]).digest()
    return int.from_bytes(digest) / 2**64


def fingerprint(rows: Sequence[Example]) -> DataFingerprint:
    """How many rows, and a hash of their texts and labels in order."""
    digest = hashlib.sha256()
    for example in rows:
        digest.update(f"{example.head}\t{example.label}\t{example.text}\n".encode())
    return DataFingerprint(rows=len(rows), sha256=digest.hexdigest())


def _read_splits(source: Source, root: Path) -> Iterator[tuple[str, list[Example]]]:
    """The source's `train`, `holdout` (a part of `train`) and `validation` rows, those of them that it has."""
    folder = CONFIGS if source.own else root
    if source.train is not None:
        rows = read_source(source, folder / source.train)
        yield "train", rows
        if source.holdout:
            held_out = [example for example in rows if share_of(example.key, "holdout") < source.holdout]
            _require_two_classes(folder / source.train, source, held_out)
            yield "holdout", held_out
    if source.evaluation is not None:
        rows = read_source(source, folder / source.evaluation)
        _require_two_classes(folder / source.evaluation, source, rows)
        yield "validation", rows


def _require_two_classes(path: Path, source: Source, held_out: Sequence[Example]) -> None:
    found = {example.label for example in held_out}
    if len(found) < 2:
        which = f"among the {source.holdout:.0%} held out" if source.holdout else "in it"
        labels = LABELS[source.head]
        what = f"all {len(held_out)} rows {which} are {labels[found.pop()]!r}" if found else f"there is no row {which}"
        raise InputError(
            f"{path}: source {source.name!r}: {what}, so there is nothing to tell apart",
            fix="Give rows of two classes at least, or leave the source out of what is measured on.",
        )


def _require_two_classes_a_head(recipe: Recipe, pool: Sequence[Example]) -> None:
    for head, labels in LABELS.items():
        found = {example.label for example in pool if example.head == head}
        if len(found) == 1:
            files = ", ".join(str(source.train) for source in recipe.sources if source.train and source.head == head)
            raise InputError(
                f"{files}: every row that trains the {head} is {labels[found.pop()]!r}: there is nothing to tell apart",
                fix="Add rows of another class, or leave the source out: a head without sources stays untrained.",
            )


def _read_frame(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path}: no such file", fix="Give the folder that holds the recipe's data.")
    try:
        match path.suffix:
            case ".csv":
                return pd.read_csv(path, dtype=str, keep_default_na=False)
            case ".parquet":
                return pd.read_parquet(path)
            case ".json":
                return pd.read_json(path, dtype=False)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {_where_not_utf8(path)}", fix="Convert the file to UTF-8.") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read: {error}", fix="Fetch the file again.") from error
    raise InputError(f"{path}: neither .csv, .parquet nor .json", fix="Convert it to one of them.")


def _where_not_utf8(path: Path) -> str:
    """Line and byte, which pandas does not tell."""
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"line {line}: byte 0x{content[error.start]:02X} is not UTF-8"
    return "not UTF-8"


def _examples(source: Source, path: Path, cells: Iterable[tuple[object, object]]) -> Iterator[Example]:
    indices = {label: index for index, label in enumerate(LABELS[source.head])}
    ours = source.ours()
    known = tuple(sorted({indices[label] for label in ours.values()}))
    classes = known if len(known) < len(indices) else ()
    for row, (text, cell) in enumerate(cells, start=1):
        found = set(re.findall(source.label_pattern, str(cell))) if source.label_pattern else {str(cell)}
        cleaned = clean(str(text))
        if len(found) != 1 or not cleaned:
            continue
        raw = found.pop()
        if not raw:
            continue
        if raw not in ours:
            raise InputError(
                f"{path}: row {row}: label {raw!r} is not in the recipe",
                fix=f"Map it under the source {source.name!r}: it knows {', '.join(ours)}.",
            )
        yield Example(cleaned, source.head, indices[ours[raw]], source.name, classes)
