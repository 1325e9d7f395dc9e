"""Points to shapes: the paths and bars of the charts, in the coordinates of their SVG. Pure geometry."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from dashboards.console.history import Point
from dashboards.console.view import AlertCard, TopicRow, TopicView

LOWEST_SCALE = 0.5
"""The top of a share axis is never below this, so that a calm day does not look like a storm."""

SPARK_WIDTH = 168.0
SPARK_HEIGHT = 36.0
SPARK_STORIES = 0.5
"""The part of a sparkline's height that its bars take: the line is what is read first."""

CHART_WIDTH = 960.0
SHARE_HEIGHT = 200.0
STORIES_HEIGHT = 72.0
TICKS = 4


class Bar(NamedTuple):
    """A step's stories, and the negative ones at its foot."""

    x: float
    width: float
    top: float
    height: float
    negative_top: float
    negative_height: float
    point: Point


class Band(NamedTuple):
    """When an alert held."""

    x: float
    width: float
    severity: str


class Spark(NamedTuple):
    """A sparkline: the window's share as a line, stories as bars behind it."""

    line: str
    area: str
    bars: tuple[Bar, ...]
    baseline: float | None
    """Height of the baseline, from the top."""
    end: tuple[float, float] | None
    """Where the line ends now."""


class Chart(NamedTuple):
    """A topic's large chart."""

    spark: Spark
    scale: float
    most_stories: int
    bands: tuple[Band, ...]
    ticks: tuple[datetime, ...]
    shares: tuple[float, ...]
    """Labels of the share axis, from the top."""


def common_scale(rows: Iterable[TopicRow]) -> float:
    """The top of the share axis that all sparklines have in common: the next quarter above what they show."""
    return _scale(point.share for row in rows for point in row.trail)


def spark(row: TopicRow, scale: float) -> Spark:
    """The sparkline of a row."""
    return _spark(
        row.trail,
        row.baseline,
        scale,
        SPARK_WIDTH,
        share=SPARK_HEIGHT,
        stories=SPARK_HEIGHT * SPARK_STORIES,
        floor=SPARK_HEIGHT,
    )


def chart(topic: TopicView) -> Chart:
    """The large chart of an opened topic; it has a point at least."""
    points = topic.row.trail
    first, last = _span(points)
    baseline = topic.row.baseline
    scale = _scale([*(point.share for point in points), baseline])
    return Chart(
        spark=_spark(
            points, baseline, scale, CHART_WIDTH, share=SHARE_HEIGHT, stories=STORIES_HEIGHT, floor=STORIES_HEIGHT
        ),
        scale=scale,
        most_stories=max(point.stories for point in points),
        bands=tuple(band for alert in topic.alerts if (band := _band(alert, first, last))),
        ticks=tuple(first + (last - first) / TICKS * tick for tick in range(TICKS + 1)),
        shares=tuple(quarter / 4 for quarter in range(round(scale * 4), -1, -1)),
    )


def _span(points: Sequence[Point]) -> tuple[datetime, datetime]:
    """From the first step to where the last one will end; all but the last are whole."""
    return points[0].start, points[-1].start + (points[0].end - points[0].start)


def _scale(shares: Iterable[float | None]) -> float:
    highest = max((share for share in shares if share is not None), default=0.0)
    return max(LOWEST_SCALE, ceil(highest * 4) / 4)


def _spark(
    points: Sequence[Point],
    baseline: float | None,
    scale: float,
    width: float,
    *,
    share: float,
    stories: float,
    floor: float,
) -> Spark:
    """Shares within the height `share`; bars of at most the height `stories` that stand on `floor`."""
    step = width / len(points)

    def y(value: float) -> float:
        # A pixel of room at both ends keeps the stroke whole.
        return round(share - 1 - value / scale * (share - 2), 1)

    first, last = _span(points)
    # A share stands at the end of its step: it is that of the window which ends there.
    places = [
        None if point.share is None else (round((point.end - first) / (last - first) * width, 1), y(point.share))
        for point in points
    ]
    runs = _runs(places)
    return Spark(
        line=" ".join("M" + " L".join(f"{x} {height}" for x, height in run) for run in runs),
        area=" ".join(
            f"M{run[0][0]} {share} L" + " L".join(f"{x} {h}" for x, h in run) + f" L{run[-1][0]} {share}Z"
            for run in runs
        ),
        bars=_bars(points, step, stories, floor),
        baseline=None if baseline is None else y(baseline),
        end=places[-1],
    )


def _runs(places: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """The unbroken stretches; a lone place is kept as a stretch of one."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is not None:
            runs[-1].append(place)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _bars(points: Sequence[Point], step: float, height: float, floor: float) -> tuple[Bar, ...]:
    most = max((point.stories for point in points), default=0)
    bars = []
    for index, point in enumerate(points):
        if not point.stories:
            continue
        tall, negative = (round(count / most * height, 1) for count in (point.stories, point.negative))
        x, width = round(index * step + step * 0.1, 1), round(step * 0.8, 1)
        bars.append(Bar(x, width, round(floor - tall, 1), tall, round(floor - negative, 1), negative, point))
    return tuple(bars)


def _band(alert: AlertCard, first: datetime, last: datetime) -> Band | None:
    start = max(alert.started_at, first)
    end = min(alert.ended_at or alert.started_at + timedelta(minutes=alert.minutes), last)
    if end < first or start > last:
        return None
    span = last - first
    x, width = (start - first) / span * CHART_WIDTH, (end - start) / span * CHART_WIDTH
    return Band(round(x, 1), max(2.0, round(width, 1)), alert.severity)
