"""A bundle on held-out sets, measured through the classifier that serves it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.bundle import Manifest, Scores, Temperatures
from model.classifier import Classifier, softmax
from model.comparison import Difference, Metric, compare
from model.data import Example, Splits
from model.errors import InputError
from model.labels import TOPICS
from model.metrics import (
    ClassScores,
    Labels,
    Probabilities,
    accuracy,
    among,
    auroc,
    calibration_error,
    class_scores,
    confusion_matrix,
    macro_f1,
)
from model.recipe import LABELS, Head

AT_ONCE = 2048
"""Texts between two reports of progress: several times what the classifier tokenises ahead."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a classifier said of the texts of one set, for one head."""

    head: Head
    classes: tuple[int, ...]
    """The classes that the set knows. Where these are not all, the probabilities are those given one of them."""
    keys: tuple[str, ...]
    labels: Labels
    probabilities: Probabilities
    topics: Labels
    """The most probable topic of each text, whichever head the set is of."""


@dataclass(frozen=True, slots=True)
class ByTopic:
    """Sentiment confusions apart by topic: a sentiment that follows from the topic shows here and nowhere else."""

    labelled: int
    """Texts whose topic is a label, of another set with the same text; the others have their predicted one."""
    confusions: dict[str, list[list[int]]]
    """By topic, those that occur; rows are labels and columns predictions, in the order of the report's `classes`."""


@dataclass(frozen=True, slots=True)
class Report:
    """One head on one set, among the classes that the set knows."""

    scores: Scores
    auroc: float | None
    """One against the rest, mean over the classes that occur; None where only one does."""
    classes: dict[str, ClassScores]
    confusion: list[list[int]]
    """Rows are labels and columns predictions, in the order of `classes`."""
    by_topic: ByTopic | None = None
    """For sentiment only."""


def evaluate(
    classifier: Classifier, sets: Mapping[str, Sequence[Example]], temperatures: Temperatures | None = None
) -> dict[str, Report]:
    """A report for each set and head it has labels of, by `set/head`. `temperatures` replace the bundle's."""
    return report(answer(classifier, sets, temperatures))


def answer(
    classifier: Classifier,
    sets: Mapping[str, Sequence[Example]],
    temperatures: Temperatures | None = None,
    done: Callable[[int], object] = lambda _: None,
) -> dict[str, Answers]:
    """What the classifier says of each set, by `set/head`. Calls `done` with how many texts more it has seen."""
    temperatures = temperatures or classifier.bundle.manifest.temperatures
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


def against(ours: Mapping[str, Answers], theirs: Mapping[str, Answers]) -> dict[str, dict[Metric, Difference]]:
    """How much better `ours` are than `theirs`, on each set. Raises `InputError` where they are of other texts."""
    if any(ours[name].keys != theirs[name].keys for name in ours.keys() & theirs) or ours.keys() != theirs.keys():
        raise InputError("the two bundles were measured on different texts", fix="Measure both on the same data.")
    return {
        name: compare(found.probabilities, theirs[name].probabilities, found.labels) for name, found in ours.items()
    }


def doubts(manifest: Manifest, splits: Splits) -> list[str]:
    """Why numbers of this bundle on these sets may mean little: what it was trained on is not what is held out from."""
    found = []
    for name, seen in manifest.data.items():
        now = splits.fingerprints.get(name)
        if now is not None and now != seen:
            found.append(
                f"{name} has changed since {manifest.version} was made ({seen.rows} rows then, {now.rows} now):"
                " what is held out of it now may have trained the bundle"
            )
    return found


def _answer(
    classifier: Classifier,
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
    return Answers(
        head=head,
        classes=tuple(np.flatnonzero(possible.any(axis=0)).tolist()),
        keys=tuple(example.key for example in rows),
        labels=np.array([example.label for example in rows], dtype=np.int64),
        probabilities=among(softmax(np.concatenate(logits)), possible),
        topics=np.concatenate(topics),
    )


def _report(found: Answers, labelled: Mapping[str, int]) -> Report:
    probabilities, labels = found.probabilities, found.labels
    names = [LABELS[found.head][index] for index in found.classes]
    of_class = class_scores(probabilities, labels)
    area = auroc(probabilities, labels)
    return Report(
        Scores(
            texts=len(labels),
            accuracy=round(accuracy(probabilities, labels), 4),
            macro_f1=round(macro_f1(probabilities, labels), 4),
            calibration_error=round(calibration_error(probabilities, labels), 4),
        ),
        None if math.isnan(area) else round(area, 4),
        dict(zip(names, (of_class[index] for index in found.classes), strict=True)),
        _confusion(found, np.ones(len(labels), dtype=np.bool_)),
        _by_topic(found, labelled) if found.head == "sentiment" else None,
    )


def _by_topic(found: Answers, labelled: Mapping[str, int]) -> ByTopic:
    known = [labelled.get(key) for key in found.keys]
    pairs = zip(known, found.topics.tolist(), strict=True)
    topics = np.array([predicted if label is None else label for label, predicted in pairs])
    confusions = {TOPICS[index]: _confusion(found, topics == index) for index in np.unique(topics).tolist()}
    return ByTopic(len(known) - known.count(None), confusions)


def _confusion(found: Answers, rows: npt.NDArray[np.bool_]) -> list[list[int]]:
    every = confusion_matrix(found.probabilities[rows], found.labels[rows])
    kept: list[list[int]] = every[np.ix_(found.classes, found.classes)].tolist()
    return kept
