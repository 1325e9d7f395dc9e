"""How good predictions are: accuracy, F1 by class, calibration. Pure functions of probabilities and labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from model.errors import FinSentryError

Probabilities = npt.NDArray[np.float64]
"""Rows x classes; each row sums to 1."""

Labels = npt.NDArray[np.int64]
"""Rows; indices of classes."""

Confusion = npt.NDArray[np.int64]
"""Classes x classes: how many rows of the label (row) were called the class (column)."""

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class of a head; a ratio whose denominator is zero is 0."""

    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows of about the same confidence, the probability of the most probable class; without any, both ratios are 0."""

    low: float
    """The least confidence of the bin; the next begins at `high`, and the last holds 1."""
    high: float
    texts: int
    confidence: float
    """Mean over the rows."""
    accuracy: float
    """Share of the rows whose most probable class is the label."""


def require_finite(logits: npt.NDArray[np.float32], head: str) -> None:
    """Raises `FinSentryError` where a row of `logits` (texts x classes) holds no number: its best class is nobody's."""
    if broken := int((~np.isfinite(logits).all(axis=1)).sum()):
        raise FinSentryError(
            f"the model gives no finite numbers for the {head} of {broken:,} of {len(logits):,} texts",
            fix="Train or export it again; if it was trained with fp16 or a high learning rate, without.",
        )


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """Share of rows whose most probable class is the label."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def confusion_matrix(probabilities: Probabilities, labels: Labels) -> Confusion:
    """Counts of label and most probable class."""
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    return confusion


def class_scores(probabilities: Probabilities, labels: Labels) -> list[ClassScores]:
    """Precision, recall and F1 of each class, in the order of the columns."""
    confusion = confusion_matrix(probabilities, labels)
    scores = []
    for index in range(len(confusion)):
        hits, support, called = confusion[index, index], confusion[index].sum(), confusion[:, index].sum()
        scores.append(
            ClassScores(
                support=int(support),
                precision=float(hits / called) if called else 0.0,
                recall=float(hits / support) if support else 0.0,
                f1=float(2 * hits / (support + called)) if support + called else 0.0,
            )
        )
    return scores


def macro_f1(probabilities: Probabilities, labels: Labels) -> float:
    """Mean F1 over the classes that occur in the labels or in the predictions, as scikit-learn has it."""
    called = set(probabilities.argmax(axis=1).tolist()) | set(labels.tolist())
    scores = class_scores(probabilities, labels)
    return float(np.mean([scores[index].f1 for index in called]))


def reliability(probabilities: Probabilities, labels: Labels) -> list[ReliabilityBin]:
    """How often each confidence is right, in 15 bins of equal width: a reliability diagram (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    of_row = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    texts = np.bincount(of_row, minlength=CALIBRATION_BINS)
    sums = [np.bincount(of_row, weights=values, minlength=CALIBRATION_BINS) for values in (confidence, right)]
    confidences, accuracies = (total / np.maximum(texts, 1) for total in sums)
    return [
        ReliabilityBin(
            low=index / CALIBRATION_BINS,
            high=(index + 1) / CALIBRATION_BINS,
            texts=int(texts[index]),
            confidence=float(confidences[index]),
            accuracy=float(accuracies[index]),
        )
        for index in range(CALIBRATION_BINS)
    ]


def mean_gap(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error (Guo et al. 2017): gap of confidence and accuracy, mean over the rows of `bins`."""
    return sum(one.texts * abs(one.confidence - one.accuracy) for one in bins) / sum(one.texts for one in bins)


def calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Expected calibration error: the mean gap of the bins of `reliability`."""
    return mean_gap(reliability(probabilities, labels))


def auroc(probabilities: Probabilities, labels: Labels) -> float:
    """Area under the ROC curve, each class against the rest, mean over the classes that occur; NaN for one class alone.

    By the ranks of a class's probability (Hanley and McNeil 1982): the chance that a row of the class has more of it
    than a row of another, where a tie is a half.
    """
    areas = []
    for index in np.unique(labels):
        of_class = labels == index
        ours, others = int(of_class.sum()), int((~of_class).sum())
        if others:
            ranks = float(rankdata(probabilities[:, index])[of_class].sum())
            areas.append((ranks - ours * (ours + 1) / 2) / (ours * others))
    return float(np.mean(areas)) if areas else float("nan")


def among(probabilities: Probabilities, classes: npt.NDArray[np.bool_]) -> Probabilities:
    """`probabilities` given that the class is one of `classes` (rows x classes, or classes): the others get 0."""
    possible = np.where(classes, probabilities, 0.0)
    result: Probabilities = possible / possible.sum(axis=1, keepdims=True)
    return result


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """Mean over rows, in nats."""
    of_label = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return float(-np.log(np.maximum(of_label, np.finfo(np.float64).tiny)).mean())
