"""The picture of a tuning: texts a second by batch size, a line for each number of threads."""

from pathlib import Path

from model.picture import save
from model.tuning import Tuning


def draw_tuning(tuning: Tuning, path: Path) -> None:
    """Writes the picture in the format of the extension of `path`. Raises `InputError` where that cannot be."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for threads in sorted({rates.trial.threads for rates in tuning.sweep}):
        line = sorted((one for one in tuning.sweep if one.trial.threads == threads), key=lambda one: one.trial)
        typical = [one.typical for one in line]
        below = [one.typical - min(one.rounds) for one in line]
        above = [max(one.rounds) - one.typical for one in line]
        tokens = [one.trial.batch_tokens for one in line]
        name = f"{threads} thread{'s' if threads > 1 else ''}"
        axes.errorbar(tokens, typical, yerr=[below, above], marker="o", capsize=3, label=name)
    present = next(one for one in tuning.sweep if one.trial == tuning.present)
    axes.plot(
        present.trial.batch_tokens, present.typical, marker="o", markersize=14, fillstyle="none", color="#1f2d3d",
        linestyle="none", label="present settings",
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = sorted({one.trial.batch_tokens for one in tuning.sweep})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("most tokens in a batch (model.batch_tokens)")
    axes.set_ylabel("texts/s: median, least and most")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, dpi=150)
