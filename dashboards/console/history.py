"""A topic's way to where it is: neighbouring steps with the share of the whole window at the end of each."""

from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

import msgspec

from stream.windows import NOTHING, Counts, WindowTable, moment_of

POINTS = 48
"""Points of a chart: a bar each is still visible in a sparkline, and 12 hours are quarters of an hour."""

STEPS_PER_WINDOW = 4

LEAST_STORIES = 3
"""The share of one story is 0 or 1: below this a point has none, so that the line does not jump between the two."""

ROUND_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440)
"""Minutes of a step that a reader can name and that tile an hour or a day."""


class Steps(NamedTuple):
    """How a chart is cut: `points` steps of `minutes` each."""

    minutes: int
    points: int = POINTS

    @property
    def reach(self) -> int:
        """Minutes that the whole chart covers."""
        return self.minutes * self.points


class Point(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One step: when it begins and ends, its stories, and the share of the window that ends with it."""

    start: datetime
    end: datetime
    stories: int
    negative: int
    share: float | None
    """None where that window has fewer than `LEAST_STORIES`."""


def steps_of(window: int, history: int, age: int | None = None) -> Steps:
    """Round steps for a window of `window` minutes: a chart reaches far beyond it, but not beyond `history`.

    While the oldest bucket is only `age` minutes old the chart reaches no further than that needs.
    """
    wanted = min(window / STEPS_PER_WINDOW, history / POINTS, window if age is None else age / POINTS)
    fitting = (step for step in ROUND_STEPS if step >= wanted and window % step == 0)
    return Steps(next(fitting, window))


def trail(table: WindowTable, topic: str, end: int, window: int, steps: Steps) -> list[Point]:
    """The steps up to minute `end`, oldest first; the last one is cut short there.

    Steps lie on a grid of their own length, so that a bar once drawn does not change its edges as time goes on.
    `share` of the last point is that of the window [end - window, end).
    """
    step, points = steps
    last = (end - 1) // step * step
    whole = _Trailing(table, topic, last, window, steps)
    trail = []
    for index in range(points - 1):
        start = last - (points - 1 - index) * step
        trail.append(_point(start, start + step, whole.step(index), *whole.window(index)))
    now = table.window(topic, end, window)
    return [*trail, _point(last, end, table.window(topic, end, end - last), now.stories, now.negative_stories)]


class _Trailing:
    """The whole steps of a chart that ends at `last`, and the window that ends with each."""

    def __init__(self, table: WindowTable, topic: str, last: int, window: int, steps: Steps) -> None:
        held = table.minutes(topic)
        self._before = window // steps.minutes
        count = steps.points - 1 + self._before
        first = last - count * steps.minutes
        # Nothing is summed before the topic's first bucket: a week in steps of a young stream's minutes is long.
        self._empty = min(max(0, (held[0] - first) // steps.minutes), count) if held else count
        self._held = table.series(topic, last, steps.minutes, count - self._empty)
        self._stories = list(accumulate((counts.stories for counts in self._held), initial=0))
        self._negative = list(accumulate((counts.negative_stories for counts in self._held), initial=0))

    def step(self, index: int) -> Counts:
        """The counts of a step of the chart."""
        place = self._before + index - self._empty
        return self._held[place] if place >= 0 else NOTHING

    def window(self, index: int) -> tuple[int, int]:
        """Stories and negative ones of the window that ends with a step of the chart."""
        until = max(0, index + 1 + self._before - self._empty)
        since = max(0, index + 1 - self._empty)
        return self._stories[until] - self._stories[since], self._negative[until] - self._negative[since]


def _point(start: int, end: int, counts: Counts, stories: int, negative: int) -> Point:
    share = negative / stories if stories >= LEAST_STORIES else None
    return Point(moment_of(start), moment_of(end), counts.stories, counts.negative_stories, share)
