"""The picture of a backtest: one row a topic, its share against what was usual, and the alerts. Needs matplotlib."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alerts.backtest import Backtest, Point
from alerts.words import length
from model.picture import save
from stream.errors import InputError
from stream.records import Alert

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

ROWS = 20
"""Topics shown, those with alerts first, then the busiest."""

SHARE, USUAL, FEW = "#1f2d3d", "#8fa3b8", "#c9d1da"
COLOURS = {"warning": "#e8a33d", "critical": "#c8342f", "drift": "#7a5aa6"}
EVENT = "#e9edf2"

NAN = float("nan")
"""Where a line has no value."""


class Event(NamedTuple):
    """A period that is known to have been bad, to judge the alerts by."""

    start: datetime
    end: datetime
    """Its last day."""
    name: str


def draw(backtest: Backtest, path: Path, *, events: Sequence[Event] = (), title: str = "") -> None:
    """Writes the picture as PNG, SVG or PDF, by the path's extension. Raises `InputError` where it cannot."""
    from matplotlib.figure import Figure

    topics = _rows(backtest)
    if not topics:
        raise InputError(
            f"{path}: there is nothing to draw: no whole {length(backtest.length)} has passed since the first document",
            fix="give more documents, or a shorter window with --window",
        )
    figure = Figure(figsize=(14, 1.6 + 0.95 * len(topics)), layout="constrained")
    axes = [row for (row,) in figure.subplots(len(topics), 1, sharex=True, squeeze=False)]
    for row, topic in zip(axes, topics, strict=True):
        for event in events:
            row.axvspan(event.start, event.end, color=EVENT, zorder=0, lw=0)
        _draw_topic(row, topic, backtest)
    for number, event in enumerate(events):
        place = (event.start, 1.08 + 0.26 * (number % 2))  # neighbours on two lines, so that they do not collide
        axes[0].annotate(event.name, place, fontsize=8, color=SHARE, annotation_clip=False)
    axes[0].set_xlim(*backtest.span)
    axes[-1].tick_params(axis="x", length=3)
    figure.suptitle(
        title or f"Negative stories among those of the last {length(backtest.length)}", x=0.01, ha="left", fontsize=13
    )
    figure.legend(handles=_legend(), loc="outside lower left", ncols=7, frameon=False, fontsize=9)
    save(figure, path)


def _rows(backtest: Backtest) -> list[str]:
    """The topics that were ever judged, or all where none was: those with alerts first, then the busiest."""
    alerted = {alert.topic for alert in backtest.alerts}
    judged = {topic for topic, points in backtest.timeline.items() if any(point.judged for point in points)}
    weight = {topic: sum(point.stories for point in points) for topic, points in backtest.timeline.items()}
    shown = (judged | alerted) & weight.keys() or weight.keys()
    return sorted(shown, key=lambda topic: (topic not in alerted, -weight[topic]))[:ROWS]


def _draw_topic(row: "Axes", topic: str, backtest: Backtest) -> None:
    points = _with_gaps(backtest.timeline[topic])
    times: Any = [point.at for point in points]  # matplotlib takes datetimes, its stubs do not
    judged = [point.judged for point in points]
    low, high = [point.usual_low for point in points], [point.usual_high for point in points]
    row.fill_between(times, low, high, where=judged, color=USUAL, alpha=0.35, lw=0, zorder=1)
    row.plot(times, [point.baseline for point in points], color=USUAL, lw=1, zorder=2)
    row.plot(times, [point.share for point in points], color=FEW, lw=0.9, zorder=3)
    row.plot(times, [point.share if point.judged else NAN for point in points], color=SHARE, lw=1.3, zorder=4)
    for alert in backtest.alerts:
        if alert.topic == topic:
            start: Any = alert.started_at
            end: Any = alert.ended_at or backtest.span[1]
            row.axvspan(start, end, color=_colour(alert), alpha=0.35, lw=0)
            row.axvline(start, color=_colour(alert), lw=1.4, zorder=5)
    row.set_ylim(0, 1)
    row.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=7)
    row.set_ylabel(topic.replace(" | ", " |\n"), rotation=0, ha="right", va="center", fontsize=9)
    row.grid(axis="x", color="#dfe4ea", lw=0.5)
    row.tick_params(axis="both", length=0)
    row.spines[["top", "right", "left"]].set_visible(False)


def _with_gaps(points: list[Point]) -> list[Point]:
    """The points with one that has no value wherever the topic was silent, so that no line bridges it."""
    steps = sorted(b.at - a.at for a, b in pairwise(points))
    usual = steps[len(steps) // 4] if steps else None
    result = points[:1]
    for before, point in pairwise(points):
        if usual is not None and point.at - before.at > 3 * usual:
            result.append(Point(before.at + usual, 0, 0, NAN, NAN, NAN, NAN, NAN, judged=False))
        result.append(point)
    return result


def _colour(alert: Alert) -> str:
    return COLOURS["drift" if alert.judge == "drift" else alert.severity]


def _legend() -> "list[Artist]":
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=SHARE, lw=1.3, label="negative share"),
        Line2D([], [], color=FEW, lw=0.9, label="too few stories to judge"),
        Patch(color=USUAL, alpha=0.4, label="usual: nine of ten calm windows"),
        *(Patch(color=colour, alpha=0.5, label=name) for name, colour in COLOURS.items()),
        Patch(color=EVENT, label="known event"),
    ]
