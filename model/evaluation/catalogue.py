"""Bundles side by side: which there are, and how two of them differ."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from model.bundle import MANIFEST_FILE, Bundle, Manifest, Scores, read_manifest
from model.data.recipe import Part, Recipe, Source, Training
from model.errors import BundleError, InputError
from model.nested import Change, changes


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder that holds a bundle, or should."""

    folder: Path
    manifest: Manifest | None
    problem: str = ""
    """What is wrong with it, and what to do; empty where nothing was found."""

    @property
    def name(self) -> str:
        return self.manifest.version if self.manifest else self.folder.name


@dataclass(frozen=True, slots=True)
class Delta:
    """One metric of one set in two bundles; None where a bundle was not measured on the set."""

    name: str
    """`twitter_topic.validation/topic macro_f1`"""
    old: float | None
    new: float | None

    @property
    def change(self) -> float | None:
        return None if self.old is None or self.new is None else round(self.new - self.old, 4)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs from one bundle to the next, each part empty where nothing does."""

    metrics: list[Delta]
    """Every metric of every set that both or one were measured on, changed or not."""
    recipe: list[Change]
    data: list[Change]
    other: list[Change]
    """Precision, labels, temperatures, libraries, files."""


def find_bundles(folders: Iterable[Path]) -> list[Path]:
    """The folders that are bundles, and those right below that are, in order of their names and each once."""
    found: dict[Path, Path] = {}
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob(f"*/{MANIFEST_FILE}"))
        for one in [folder] if (folder / MANIFEST_FILE).exists() or not inside else inside:
            found.setdefault(one.resolve(), one)
    return list(found.values())


def read_entry(folder: Path) -> Entry:
    """What the folder's manifest says; the big files are not looked at."""
    return _entry(folder, lambda: read_manifest(folder / MANIFEST_FILE))


def verify(folder: Path) -> Entry:
    """The same with every byte of the bundle checked against its hashes."""
    return _entry(folder, lambda: Bundle.load(folder).manifest)


def _entry(folder: Path, read: Callable[[], Manifest]) -> Entry:
    if not (folder / MANIFEST_FILE).exists():
        missing = InputError("there is no bundle in this folder", fix=f"Give a folder that holds {MANIFEST_FILE}.")
        return Entry(folder, None, str(missing))
    try:
        return Entry(folder, read())
    except BundleError as error:
        return Entry(folder, None, str(error))


def pick(name: str, entries: Iterable[Entry]) -> Entry:
    """The entry of this version or folder's name. Raises `InputError` that lists those there are."""
    known = list(entries)
    for entry in known:
        if name in (entry.name, entry.folder.name):
            return entry
    listed = ", ".join(f"{entry.name} ({entry.folder.name})" for entry in known) or "none"
    raise InputError(f"there is no bundle {name}", fix=f"Give its folder, or one of those found: {listed}.")


def main_scores(manifest: Manifest) -> dict[str, Scores]:
    """Of each head, by set, the scores on its largest set."""
    best: dict[str, str] = {}
    for name, scores in manifest.metrics.items():
        head = name.rpartition("/")[2]
        if head not in best or scores.texts > manifest.metrics[best[head]].texts:
            best[head] = name
    return {name: manifest.metrics[name] for name in best.values()}


def compare_manifests(old: Manifest, new: Manifest) -> Comparison:
    """How `new` differs from `old`; what always differs (time, version, digest, profile) is left out."""
    before, after = (_without(manifest) for manifest in (old, new))
    return Comparison(
        metrics=list(_deltas(old, new)),
        recipe=changes(*(_filled(record["made"].pop("recipe", {})) for record in (before, after))),
        data=changes(before.pop("data"), after.pop("data")),
        other=changes(before, after),
    )


def _deltas(old: Manifest, new: Manifest) -> Iterable[Delta]:
    for name in dict.fromkeys([*old.metrics, *new.metrics]):
        for metric in ("accuracy", "macro_f1", "calibration_error"):
            values = [getattr(manifest.metrics.get(name), metric, None) for manifest in (old, new)]
            yield Delta(f"{name} {metric}", *values)


def _without(manifest: Manifest) -> dict[str, Any]:
    rest: dict[str, Any] = msgspec.to_builtins(manifest)
    for key in (
        "metrics",
        "without_near_duplicates",
        "trainings",
        "lost",
        "by_topic",
        "reference",
        "digest",
        "version",
    ):
        rest.pop(key, None)
    rest["made"] = {key: value for key, value in rest["made"].items() if key not in ("at", "float32", "parity")}
    return rest


def _filled(recipe: dict[str, Any]) -> dict[str, Any]:
    """`recipe` with the defaults of keys that were added since it was written: they are no difference."""
    training = _defaults(Training) | recipe.get("training", {})
    sources = [_defaults(Source) | source for source in recipe.get("sources", [])]
    return _defaults(Recipe) | recipe | {"training": training, "sources": sources}


def _defaults(part: type[Part]) -> dict[str, Any]:
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in part.model_fields.items()
        if not field.is_required()
    }
