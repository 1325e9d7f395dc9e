"""How much of a score hangs on the seed: mean and deviation over the trainings that a bundle is the mean of. Pure."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple

from model.bundle import Manifest


class Spread(NamedTuple):
    """Of one metric over several trainings."""

    mean: float
    stdev: float
    """Of the sample, n - 1 in the denominator."""

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.stdev:.3f}"


class Spreads(NamedTuple):
    """Of one head on one set."""

    accuracy: Spread
    macro_f1: Spread
    calibration_error: Spread


def spreads(manifest: Manifest) -> dict[str, Spreads]:
    """By set and head, of those that every training was measured on; empty for a bundle of one training."""
    runs = manifest.trainings
    if len(runs) < 2:
        return {}
    return {
        name: Spreads(*(_spread([getattr(run[name], metric) for run in runs]) for metric in Spreads._fields))
        for name in manifest.metrics
        if all(name in run for run in runs)
    }


def _spread(values: Sequence[float]) -> Spread:
    return Spread(round(mean(values), 5), round(stdev(values), 5))
