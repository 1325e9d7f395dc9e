"""Is one bundle better than another, or was it luck with these texts? A paired bootstrap over the texts of a set.

Both bundles have said something of the same texts. Sets of as many texts are drawn from them with replacement (Efron
1979; for classifiers Berg-Kirkpatrick et al. 2012): where the difference keeps its sign in 95 of 100, it is real.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

from model.evaluation.metrics import Labels, Probabilities

RESAMPLES = 2000
CONFIDENCE = 0.95
AT_ONCE = 100
"""Resamples drawn together: some megabytes for a set of thousands."""

Metric = Literal["accuracy", "macro_f1"]
Verdict = Literal["better", "worse", "no real difference"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of a bundle less that of the other, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no real difference"

    def __str__(self) -> str:
        return f"{100 * self.value:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f}): {self.verdict}"


def compare(
    ours: Probabilities, theirs: Probabilities, labels: Labels, seed: int = 0, resamples: int = RESAMPLES
) -> dict[Metric, Difference]:
    """How much better `ours` is than `theirs` on the same rows; percentile intervals of 2,000 resamples."""
    classes = ours.shape[1]
    ours_called, theirs_called = ours.argmax(axis=1), theirs.argmax(axis=1)

    def differences(rows: npt.NDArray[np.int64], axis: int = -1) -> Floats:  # noqa: ARG001 - scipy names it
        rows = np.atleast_2d(rows)
        one = _accuracy_and_f1(labels[rows], ours_called[rows], classes)
        other = _accuracy_and_f1(labels[rows], theirs_called[rows], classes)
        return one - other

    names: tuple[Metric, ...] = ("accuracy", "macro_f1")
    indices = np.arange(len(labels))
    if len(labels) < 2:  # of one text no interval can be drawn
        return {
            name: Difference(float(value), -1.0, 1.0)
            for name, value in zip(names, differences(indices)[:, 0], strict=True)
        }
    interval = bootstrap(
        (indices,),
        differences,
        n_resamples=resamples,
        batch=AT_ONCE,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = np.asarray(interval.low), np.asarray(interval.high)
    values = differences(indices)[:, 0]
    return {
        name: Difference(float(values[index]), float(low[index]), float(high[index]))
        for index, name in enumerate(names)
    }


def _accuracy_and_f1(labels: Labels, called: Labels, classes: int) -> Floats:
    """Accuracy and macro-F1 (2 x sets) of sets of as many rows (sets x rows), F1 as `metrics` has it."""
    right = labels == called
    support, claimed = _counts(labels, classes), _counts(called, classes)
    hits = _counts(np.where(right, labels, classes), classes + 1)[:, :classes]
    total = support + claimed
    f1 = np.divide(2 * hits, total, out=np.zeros(total.shape), where=total > 0)
    result: Floats = np.stack([right.mean(axis=1), f1.sum(axis=1) / (total > 0).sum(axis=1)])
    return result


def _counts(values: Labels, classes: int) -> npt.NDArray[np.int64]:
    """How often each class stands in each row of `values` (sets x rows): sets x classes."""
    sets = len(values)
    flat = values + classes * np.arange(sets)[:, None]
    return np.bincount(flat.ravel(), minlength=sets * classes).reshape(sets, classes)
