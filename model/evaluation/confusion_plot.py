"""The picture of a confusion: how many texts of each label were called what, and which share of the label that is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.picture import save

WIDEST_WITH_SHARES = 8
"""Classes up to which a cell holds its share beside its count in full size; more classes need small print."""


def draw_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str, path: Path) -> None:
    """Writes the picture in the format of the extension of `path`. Raises `InputError` where that cannot be.

    Rows are labels, columns predictions; a cell is coloured by its share of the row.
    """
    from matplotlib.figure import Figure

    counts = np.array(confusion)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    small = len(classes) > WIDEST_WITH_SHARES
    side = 3.4 + (0.55 if small else 1.1) * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(
            column,
            row,
            f"{counts[row, column]}\n{shares[row, column]:.0%}",
            ha="center",
            va="center",
            fontsize=6.5 if small else 10,
            color="white" if shares[row, column] > 0.55 else "#1f2d3d",
        )
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), [f"{name} ({n})" for name, n in zip(classes, support[:, 0], strict=True)])
    axes.set_xlabel("called")
    axes.set_ylabel("label (texts)")
    axes.set_title(title, loc="left", fontsize=11)
    save(figure, path)
