"""The sets of a recipe, split so that nothing measured on was trained on."""

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from model.bundle import DataFingerprint
from model.data.examples import Example, fingerprint, read_source
from model.data.leaks import Leak, LeakError, find_leaks, leaking_rows, refusal, said
from model.data.recipe import CONFIGS, LABELS, Recipe, Source
from model.errors import InputError
from model.labels import Head

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Splits:
    """What trains, what tempers, and what is only measured on (by the name of its set)."""

    train: list[Example]
    calibration: list[Example]
    evaluation: dict[str, list[Example]]
    fingerprints: dict[str, DataFingerprint] = field(default_factory=dict)
    """By source and split, of what was read, before anything was dropped."""
    leaks: list[Leak] = field(default_factory=list)
    """What was dropped from training because it is measured on."""
    repeats: dict[str, int] = field(default_factory=dict)
    """By source, the rows that were dropped because another one with their text and head stands for them."""
    disputed: dict[str, int] = field(default_factory=dict)
    """By source, the texts that were dropped because their rows are at odds about the label."""
    rows: str | None = None
    """`digest_of` what `load_splits` kept of the files, whatever part of that a caller trains on."""
    kept: tuple[Sequence[Example], Sequence[Example]] = ((), ())
    """Those rows themselves: what trains, and what tempers."""

    def rows_without(self, sources: Collection[str]) -> str | None:
        """`rows`, had the recipe not had these sources; None where it is not known."""
        if not sources or self.rows is None:
            return self.rows
        return digest_of(*([e for e in rows if e.source not in sources] for rows in self.kept))


def load_splits(recipe: Recipe, root: Path) -> Splits:
    """Everything the recipe names under `root`, without leaks.

    Raises `InputError` that names the file and row, and `LeakError` where there are leaks that the recipe refuses.
    """
    pool, evaluation, fingerprints = _read(recipe.sources, root)
    leaks = find_leaks(pool, evaluation)
    if leaks and recipe.leaks == "refuse":
        raise refusal(leaks, list(leaking_rows(pool, evaluation)))
    for leak in leaks:
        logger.warning("dropped from training: %s", said(leak))
    unseen = without_leaks(pool, evaluation)
    kept, disputed = without_repeats(unseen)
    _require_two_classes_a_head(kept)
    stands = Counter(e.source for e in [*kept, *chain.from_iterable(disputed)])
    repeats = Counter(e.source for e in unseen) - stands
    sources = {source.name: source for source in recipe.sources}
    share = recipe.training.calibration
    calibration = [e for e in kept if sources[e.source].calibrates and share_of(e.key, "calibration") < share]
    tempers = {e.key for e in calibration}
    train = [e for e in kept if e.key not in tempers for _ in range(sources[e.source].repeat)]
    logger.info(
        "data read=%d leaking=%d repeated=%d disputed=%d train=%d calibration=%d",
        len(pool),
        len(pool) - len(unseen),
        repeats.total(),
        len(disputed),
        len(train),
        len(calibration),
    )
    return Splits(
        train,
        calibration,
        evaluation,
        fingerprints,
        leaks,
        repeats=dict(repeats),
        disputed=dict(Counter(alike[0].source for alike in disputed)),
        rows=digest_of(train, calibration),
        kept=(train, calibration),
    )


def load_evaluation(recipe: Recipe, root: Path) -> Splits:
    """What the recipe holds out under `root`, with nothing that trains; reads of `train` only what has a holdout."""
    needed = [one if one.holdout else one.model_copy(update={"train": None}) for one in recipe.sources]
    _, evaluation, fingerprints = _read(needed, root)
    if not evaluation:
        raise InputError(
            f"the recipe {recipe.name!r} holds nothing out, so there is nothing to measure on",
            fix="Give a source `evaluation` or `holdout`.",
        )
    return Splits([], [], evaluation, fingerprints)


def without_leaks(pool: Iterable[Example], evaluation: dict[str, list[Example]]) -> list[Example]:
    """The examples whose text stands in no evaluation set, of whichever source and head."""
    held_out = {example.key for rows in evaluation.values() for example in rows}
    return [example for example in pool if example.key not in held_out]


def without_repeats(pool: Iterable[Example]) -> tuple[list[Example], list[list[Example]]]:
    """One example of each text and head, with the label of most of its rows; and all of each whose rows are at odds.

    Where no label has more rows than every other, the text teaches nothing but the noise of its labels.
    """
    rows: dict[tuple[str, Head], list[Example]] = {}
    for example in pool:
        rows.setdefault((example.key, example.head), []).append(example)
    kept, disputed = [], []
    for alike in rows.values():
        (label, most), *others = Counter(example.label for example in alike).most_common(2)
        if others and others[0][1] == most:
            disputed.append(alike)
        else:
            kept.append(next(example for example in alike if example.label == label))
    return kept, disputed


def require_no_leaks(splits: Splits) -> None:
    """Raises `LeakError` if a text is on two sides of the split."""
    train = {example.key for example in splits.train}
    others = {"calibration": splits.calibration, **splits.evaluation}
    for name, rows in others.items():
        for example in rows:
            if example.key in train:
                raise LeakError(
                    f"{name}: {example.text[:80]!r} also stands in what trains",
                    fix="Split with `model.data.splits.load_splits`, which refuses such texts or drops them.",
                )


def digest_of(train: Iterable[Example], calibration: Iterable[Example]) -> str:
    """16 hex digits of the rows that train and that temper, in order and with their repeats.

    Fingerprints are of whole files: they stay the same where another version keeps other rows of them.
    """
    digest = hashlib.sha256()
    for name, rows in (("train", train), ("calibration", calibration)):
        digest.update(f"{name}\n".encode())
        for example in rows:
            digest.update(f"{example.head}\t{example.label}\t{example.key}\n".encode())
    return digest.hexdigest()[:16]


def share_of(key: str, purpose: str) -> float:
    """A number in [0, 1) that depends on the text and the purpose alone: a split that no seed or order changes."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, person=purpose.encode()[:16]).digest()
    return int.from_bytes(digest) / 2**64


def _read(
    sources: Iterable[Source], root: Path
) -> tuple[list[Example], dict[str, list[Example]], dict[str, DataFingerprint]]:
    """What may train, what is measured on by the name of its set, and the fingerprints of what was read."""
    pool: list[Example] = []
    evaluation: dict[str, list[Example]] = {}
    fingerprints: dict[str, DataFingerprint] = {}
    for source in sources:
        for split, rows in _read_splits(source, root):
            if split != "holdout":
                fingerprints[f"{source.name}.{split}"] = fingerprint(rows)
            if split != "train":
                evaluation[f"{source.name}.{split}"] = rows
            else:
                pool.extend(example for example in rows if not _is_held_out(source, example))
    return pool, evaluation, fingerprints


def _read_splits(source: Source, root: Path) -> Iterator[tuple[str, list[Example]]]:
    """The source's `train`, `holdout` (a part of `train`) and `validation` rows, those of them that it has."""
    folder = CONFIGS if source.own else root
    if source.train is not None:
        rows = read_source(source, folder / source.train)
        yield "train", rows
        if source.holdout:
            held_out = [example for example in rows if _is_held_out(source, example)]
            _require_two_classes(folder / source.train, source, held_out)
            yield "holdout", held_out
    if source.evaluation is not None:
        rows = read_source(source, folder / source.evaluation)
        _require_two_classes(folder / source.evaluation, source, rows)
        yield "validation", rows


def _is_held_out(source: Source, example: Example) -> bool:
    return share_of(example.key, "holdout") < source.holdout


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


def _require_two_classes_a_head(pool: Sequence[Example]) -> None:
    for head, labels in LABELS.items():
        trained = [example for example in pool if example.head == head]
        found = {example.label for example in trained}
        if len(found) == 1:
            files = ", ".join(dict.fromkeys(str(example.place.path) for example in trained))
            raise InputError(
                f"{files}: every row that trains the {head} is {labels[found.pop()]!r}: there is nothing to tell apart",
                fix="Add rows of another class, or leave the source out: a head without sources stays untrained.",
            )
