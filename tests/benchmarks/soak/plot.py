"""The plot of a run: memory, handles, latency and lag over time, and when a worker was killed."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tests.benchmarks.soak.samples import Sample

PANELS = (
    ("resident_mb", "resident, MB"),
    ("handles", "open handles"),
    ("p50", "median append to window, s"),
    ("p99", "p99 append to window, s"),
    ("lag", "lag, documents"),
)


def plot(path: Path, samples: Sequence[Sample], kills: Sequence[float], *, title: str) -> None:
    """A PNG; lines break where a worker was killed."""
    figure = Figure(figsize=(11, 12), layout="constrained")
    axes = figure.subplots(len(PANELS), 1, sharex=True)
    names = list(dict.fromkeys(sample.process for sample in samples))
    for axis, (field, label) in zip(axes, PANELS, strict=True):
        for place, name in enumerate(names):
            lives: dict[int, list[tuple[float, float]]] = {}
            for sample in samples:
                value = getattr(sample, field)
                if sample.process == name and value is not None:
                    lives.setdefault(sample.generation, []).append((sample.seconds / 60, value))
            for number, points in enumerate(lives.values()):
                x, y = zip(*points, strict=True)
                axis.plot(x, y, color=f"C{place}", linewidth=1, label=name if number == 0 else None)
        for kill in kills:
            axis.axvline(kill / 60, color="0.85", linewidth=0.7, zorder=0)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    axes[0].set_title(title)
    axes[0].legend(loc="lower left", ncols=len(names), frameon=False)
    axes[-1].set_xlabel("minutes; grey: a worker was killed")
    figure.savefig(path, dpi=110)
