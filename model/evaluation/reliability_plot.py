"""The picture of a calibration: how often each confidence is right, and how many texts have it."""

from collections.abc import Sequence
from pathlib import Path

from model.evaluation.metrics import ReliabilityBin
from model.picture import save

DARK = "#1f2d3d"
BLUE, SURE = "#4a90c4", "#d1495b"
FIRM_TEXTS = 20
"""Texts of a bin below which its bar is pale: a text more that is right moves it by five points or more."""


def draw_reliability(bins: Sequence[ReliabilityBin], title: str, path: Path) -> None:
    """Writes the picture in the format of the extension of `path`. Raises `InputError` where that cannot be.

    A bar is the accuracy of a bin and a dot its mean confidence: a bar that ends below its dot is too sure of itself.
    """
    from matplotlib.figure import Figure

    some = [one for one in bins if one.texts]
    middles = [(one.low + one.high) / 2 for one in some]
    width = 0.92 * (bins[0].high - bins[0].low)
    figure = Figure(figsize=(6.7, 6.7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=DARK, linewidth=1, linestyle="--", label="as often right as it is sure", zorder=3)
    for firm, name in ((True, "accuracy"), (False, f"accuracy, of fewer than {FIRM_TEXTS} texts")):
        these = [(x, one.accuracy) for x, one in zip(middles, some, strict=True) if (one.texts >= FIRM_TEXTS) == firm]
        if these:
            above.bar(*zip(*these, strict=True), width=width, color=BLUE, alpha=1 if firm else 0.35, label=name)
    above.plot(
        middles, [one.confidence for one in some], marker="o", markersize=5, linestyle="none", color=SURE,
        label="mean confidence", zorder=4,
    )  # fmt: skip
    above.set_ylim(0, 1.02)
    above.set_ylabel("right")
    above.legend(loc="upper left", edgecolor="none", framealpha=0.85)
    above.set_title(title, loc="left", fontsize=11)
    counts = below.bar(middles, [one.texts for one in some], width=width, color=BLUE)
    below.bar_label(counts, [f"{one.texts:,}" for one in some], padding=2, fontsize=6.5, color=DARK)
    below.margins(y=0.15)
    below.set_xlim(0, 1)
    below.set_xlabel("confidence: probability of what is called")
    below.set_ylabel("texts")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)
