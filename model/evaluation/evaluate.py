"""A bundle on held-out sets, measured through the classifier that serves it."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model.bundle import ByTopic, Manifest, Scores, Temperatures
from model.classifier import softmax
from model.data.examples import Example
from model.data.recipe import LABELS, Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.evaluation.comparison import Difference, Metric, compare, corrected
from model.evaluation.metrics import (
    ClassScores,
    Labels,
    Probabilities,
    ReliabilityBin,
    accuracy,
    among,
    auroc,
    calibration_error,
    class_scores,
    confusion_matrix,
    macro_f1,
    reliability,
    require_finite,
)
from model.labels import TOPICS, Head
from model.runtime import Logits

AT_ONCE = 2048
"""Texts between two reports of progress: several times what the classifier tokenises ahead."""


class Measurable(Protocol):
    """What can be measured: a classifier, or a network before its export."""

    @property
    def temperatures(self) -> Temperatures:
        """What its logits are divided by."""

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        """Topic logits (texts x 20) and sentiment logits (texts x 3) before temperatures, in the order of `texts`."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a classifier said of the texts of one set, for one head."""

    head: Head
    classes: tuple[int, ...]
    """The classes that the set knows. Where these are not all, the probabilities are those given one of them."""
    keys: tuple[str, ...]
    labels: Labels
    probabilities: Probabilities
    served: Probabilities
    """Every class allowed, whatever the set knows."""
    topics: Labels
    """The most probable topic of each text, whichever head the set is of."""


@dataclass(frozen=True, slots=True)
class Report:
    """One head on one set, among the classes that the set knows."""

    scores: Scores
    auroc: float | None
    """One against the rest, mean over the classes that occur; None where only one does."""
    classes: dict[str, ClassScores]
    confusion: list[list[int]]
    """Rows are labels and columns predictions, in the order of `classes`."""
    reliability: list[ReliabilityBin]
    """How often each confidence is right; `scores.calibration_error` is their mean gap."""
    by_topic: ByTopic | None = None
    """For sentiment only, and as served: among every class."""


def evaluate(
    classifier: Measurable, sets: Mapping[str, Sequence[Example]], temperatures: Temperatures | None = None
) -> dict[str, Report]:
    """A report for each set and head it has labels of, by `set/head`. `temperatures` replace the bundle's."""
    return report(answer(classifier, sets, temperatures))


def answer(
    classifier: Measurable,
    sets: Mapping[str, Sequence[Example]],
    temperatures: Temperatures | None = None,
    done: Callable[[int], object] = lambda _: None,
) -> dict[str, Answers]:
    """What the classifier says of each set, by `set/head`. Calls `done` with how many texts more it has seen.

    Raises `FinSentryError` where the classifier gives no finite numbers.
    """
    temperatures = temperatures or classifier.temperatures
    answers = {}
    for name, examples in sets.items():
        for head in LABELS:
            if rows := [example for example in examples if example.head == head]:
                answers[f"{name}/{head}"] = _answer(classifier, head, rows, temperatures, done)
    return answers


def report(answers: Mapping[str, Answers]) -> dict[str, Report]:
    """How good the answers are. A text of a sentiment set that another set has a topic of is counted under that."""
    labelled = {
        key: int(label)
        for found in answers.values()
        if found.head == "topic"
        for key, label in zip(found.keys, found.labels, strict=True)
    }
    return {name: _report(found, labelled) for name, found in answers.items()}


def scores_without(answers: Mapping[str, Answers], keys: Set[str]) -> dict[str, Scores]:
    """How good the answers are on the texts with none of `keys`, of each set that has some of both."""
    found = {}
    for name, whole in answers.items():
        rows = np.array([key not in keys for key in whole.keys], dtype=np.bool_)
        if 0 < rows.sum() < len(rows):
            found[name] = _scores(whole, rows)
    return found


def against(ours: Mapping[str, Answers], theirs: Mapping[str, Answers]) -> dict[str, dict[Metric, Difference]]:
    """How much better `ours` are than `theirs`, on each set, p corrected for all sets and metrics.

    Raises `InputError` where they are of other texts.
    """
    if any(ours[name].keys != theirs[name].keys for name in ours.keys() & theirs) or ours.keys() != theirs.keys():
        raise InputError("the two bundles were measured on different texts", fix="Measure both on the same data.")
    each = {name: compare(of.probabilities, theirs[name].probabilities, of.labels) for name, of in ours.items()}
    return corrected(each)


def doubts(manifest: Manifest, splits: Splits, recipe: Recipe) -> list[str]:
    """Why numbers of this bundle on what `recipe` holds out may mean little: it may have trained the bundle.

    What trained it is known by content, under whatever name it is given now.
    """
    now = {source.name: source.holdout for source in recipe.sources}
    then = {one["name"]: one.get("holdout", 0.0) for one in manifest.made.get("recipe", {}).get("sources", ())}
    trained = {seen.sha256: name for name, seen in manifest.data.items() if name.endswith(".train")}
    kept: dict[str, float] = {}
    for name, seen in manifest.data.items():
        kept[seen.sha256] = max(kept.get(seen.sha256, 0.0), _share(name, then))
    found = []
    if composed := manifest.made.get("composed"):
        found.append(
            f"what trained {composed['model']}, which answers for the {composed['head']}, is not known: it may have"
            " seen any of these sets"
        )
    for name, seen in splits.fingerprints.items():
        before = manifest.data.get(name)
        if seen.sha256 not in kept:
            what = "is not among what it was made from and measured on"
            if before is not None:
                what = f"has changed since it was made ({before.rows} rows then, {seen.rows} now)"
            found.append(f"{name} {what}: what is held out of it now may have trained {manifest.version}")
        elif _share(name, now) > kept[seen.sha256]:
            found.append(
                f"{name}: trained {manifest.version}, as {trained[seen.sha256]}: {kept[seen.sha256]:.0%} of it was held"
                f" out then and {_share(name, now):.0%} is now, so some of that trained the bundle"
            )
    return found


def _share(name: str, holdouts: Mapping[str, float]) -> float:
    """How much of the file `name`, `source.train` or `source.validation`, does not train."""
    source, _, split = name.rpartition(".")
    return 1.0 if split == "validation" else holdouts.get(source, 0.0)


def _answer(
    classifier: Measurable,
    head: Head,
    rows: Sequence[Example],
    temperatures: Temperatures,
    done: Callable[[int], object],
) -> Answers:
    topics, logits = [], []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        of_topic, of_sentiment = classifier.logits([example.text for example in some])
        topics.append(of_topic.argmax(axis=1))
        logits.append(of_topic / temperatures.topic if head == "topic" else of_sentiment / temperatures.sentiment)
        done(len(some))
    every = tuple(range(len(LABELS[head])))
    possible = np.zeros((len(rows), len(every)), dtype=np.bool_)
    for index, example in enumerate(rows):
        possible[index, list(example.classes or every)] = True
    said = np.concatenate(logits)
    require_finite(said, head)
    served = softmax(said)
    return Answers(
        head=head,
        classes=tuple(np.flatnonzero(possible.any(axis=0)).tolist()),
        keys=tuple(example.key for example in rows),
        labels=np.array([example.label for example in rows], dtype=np.int64),
        probabilities=among(served, possible),
        served=served,
        topics=np.concatenate(topics),
    )


def _report(found: Answers, labelled: Mapping[str, int]) -> Report:
    probabilities, labels = found.probabilities, found.labels
    every = np.ones(len(labels), dtype=np.bool_)
    of_class = class_scores(probabilities, labels)
    area = auroc(probabilities, labels)
    return Report(
        _scores(found, every),
        None if math.isnan(area) else round(area, 4),
        dict(zip(_names(found), (of_class[index] for index in found.classes), strict=True)),
        confusion_matrix(probabilities, labels)[np.ix_(found.classes, found.classes)].tolist(),
        reliability(probabilities, labels),
        _by_topic(found, labelled) if found.head == "sentiment" else None,
    )


def _scores(found: Answers, rows: npt.NDArray[np.bool_]) -> Scores:
    probabilities, labels = found.probabilities[rows], found.labels[rows]
    some = len(found.classes) < len(LABELS[found.head])
    return Scores(
        texts=len(labels),
        accuracy=round(accuracy(probabilities, labels), 4),
        macro_f1=round(macro_f1(probabilities, labels), 4),
        calibration_error=round(calibration_error(probabilities, labels), 4),
        among=tuple(_names(found)) if some else (),
        served=round(accuracy(found.served[rows], labels), 4) if some else None,
    )


def _names(found: Answers) -> list[str]:
    return [LABELS[found.head][index] for index in found.classes]


def _by_topic(found: Answers, labelled: Mapping[str, int]) -> ByTopic:
    known = [labelled.get(key) for key in found.keys]
    pairs = zip(known, found.topics.tolist(), strict=True)
    topics = np.array([predicted if label is None else label for label, predicted in pairs])
    confusions = {
        TOPICS[index]: confusion_matrix(found.served[topics == index], found.labels[topics == index]).tolist()
        for index in np.unique(topics).tolist()
    }
    return ByTopic(labelled=len(known) - known.count(None), classes=LABELS[found.head], confusions=confusions)
