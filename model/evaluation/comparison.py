"""Is one bundle better than another, or was it luck with these texts? A paired bootstrap over the texts of each set.

Both bundles have said something of the same texts. Sets of as many texts are drawn from them with replacement (Efron
1979; for classifiers Berg-Kirkpatrick et al. 2012). How often those are as far from what was measured as that is from
nothing gives a p-value, and the p-values of all lines of a table, a set and metric each, are corrected together (Holm
1979): of two equally good bundles at most 5 tables in 100 call any line better or worse.

It says nothing of the seed: another training by the same recipe may differ by as much.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from model.evaluation.metrics import Labels, Probabilities

RESAMPLES = 10_000
"""Of 20 lines (ten sets) the clearest is real with under 25 of these against it: enough not to hang on the draw. With
more than 500 lines nothing could be real."""
CONFIDENCE = 0.95
CELLS_AT_ONCE = 1_000_000
"""Counts of resamples that are drawn together: 8 MB each for a few arrays, however many texts a set has."""
TIE = 1e-9
"""Differences this near are equal but for rounding; were they not, one more against it is on the safe side."""

Metric = Literal["accuracy", "macro_f1"]
METRICS: tuple[Metric, ...] = ("accuracy", "macro_f1")
Verdict = Literal["better", "worse", "no real difference"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of a bundle less that of the other, with its 95 % interval, which is of this line alone."""

    value: float
    low: float
    high: float
    raw_p: float
    """Two-sided p-value of this line alone, of no difference; never 0."""
    p: float
    """The same corrected for all lines that are looked at together; the verdict is by this."""

    @property
    def verdict(self) -> Verdict:
        if self.p >= 1 - CONFIDENCE:
            return "no real difference"
        return "better" if self.value > 0 else "worse"

    def __str__(self) -> str:
        p = f"p = {self.p:.3f}" if self.p >= 0.001 else "p < 0.001"
        return f"{100 * self.value:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f}), {p}: {self.verdict}"


class Tally(NamedTuple):
    """How many lines of a comparison say what."""

    lines: int
    better: int
    worse: int

    def __str__(self) -> str:
        return (
            f"over all sets {self.better} of {self.lines} better, {self.worse} worse,"
            f" {self.lines - self.better - self.worse} no real difference; p is corrected for {self.lines} lines (Holm)"
        )


def compare(
    ours: Probabilities, theirs: Probabilities, labels: Labels, seed: int = 0, resamples: int = RESAMPLES
) -> dict[Metric, Difference]:
    """How much better `ours` is than `theirs` on the same rows; percentile intervals, p corrected for both metrics.

    Where there are other sets besides, `corrected` corrects for the lines of all.
    """
    classes = ours.shape[1]
    called = np.stack([labels, ours.argmax(axis=1), theirs.argmax(axis=1)], axis=1)
    # Rows with one label that were called the same are alike: how many of each a resample has is all that counts.
    cells, counts = np.unique(called, axis=0, return_counts=True)
    values = _differences(cells, counts[None, :], classes)[:, 0]
    if len(labels) < 2:  # of one text no interval can be drawn
        return {metric: Difference(value, -1, 1, 1, 1) for metric, value in zip(METRICS, values.tolist(), strict=True)}
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // len(cells))
    drawn = np.concatenate(
        [
            _differences(cells, rng.multinomial(len(labels), counts / len(labels), size=some), classes)
            for some in (min(at_once, resamples - start) for start in range(0, resamples, at_once))
        ],
        axis=1,
    )
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
    raw = _p_values(values, drawn)
    rows = zip(values.tolist(), low.tolist(), high.tolist(), raw.tolist(), holm(raw).tolist(), strict=True)
    return {metric: Difference(*row) for metric, row in zip(METRICS, rows, strict=True)}


def corrected(differences: Mapping[str, Mapping[Metric, Difference]]) -> dict[str, dict[Metric, Difference]]:
    """`differences` with each p corrected for all of them, every set and every metric."""
    raw = [difference.raw_p for by_metric in differences.values() for difference in by_metric.values()]
    p_values = iter(holm(np.array(raw)).tolist())
    return {
        name: {metric: replace(difference, p=next(p_values)) for metric, difference in by_metric.items()}
        for name, by_metric in differences.items()
    }


def tally(differences: Mapping[str, Mapping[Metric, Difference]]) -> Tally:
    """How many of all lines are better and worse."""
    verdicts = [difference.verdict for by_metric in differences.values() for difference in by_metric.values()]
    return Tally(len(verdicts), verdicts.count("better"), verdicts.count("worse"))


def holm(raw: Floats) -> Floats:
    """p-values (any number) corrected by Holm's step-down (1979), whatever they have to do with one another.

    The smallest counts for as many as there are, the next for one fewer, and none for less than one before it.
    """
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    result = np.empty(len(raw))
    result[order] = np.minimum(stepped, 1.0)
    return result


def _p_values(values: Floats, drawn: Floats) -> Floats:
    """Two-sided p-values of no difference of what was measured (lines) and in resamples (lines x resamples).

    Resamples scatter about what was measured as that would about nothing were there no difference (Berg-Kirkpatrick et
    al. 2012). What was measured counts as one of them, so that p is never 0 (Davison and Hinkley 1997, chapter 4).
    """
    extreme = np.abs(drawn - values[:, None]) >= np.abs(values)[:, None] - TIE
    result: Floats = (1 + extreme.sum(axis=1)) / (1 + drawn.shape[1])
    return result


def _differences(cells: Labels, counts: npt.NDArray[np.int64], classes: int) -> Floats:
    """Accuracy and macro-F1 of ours less theirs (2 x sets), where a set has `counts` (sets x cells) of each cell.

    A cell (cells x 3) is a label, what ours calls it and what theirs does.
    """
    weights = counts.astype(np.float64)  # of whole numbers products are exact, and several times as fast
    labels, ours, theirs = cells.T
    return _accuracy_and_f1(weights, labels, ours, classes) - _accuracy_and_f1(weights, labels, theirs, classes)


def _accuracy_and_f1(weights: Floats, labels: Labels, called: Labels, classes: int) -> Floats:
    """Accuracy and macro-F1 (2 x sets) of sets of cells that are so many each, F1 as `metrics` has it."""
    one_of = np.eye(classes)
    hits = weights @ (one_of[labels] * (labels == called)[:, None])
    total = weights @ (one_of[labels] + one_of[called])
    f1 = np.divide(2 * hits, total, out=np.zeros(total.shape), where=total > 0)
    result: Floats = np.stack([hits.sum(axis=1) / weights.sum(axis=1), f1.sum(axis=1) / (total > 0).sum(axis=1)])
    return result
