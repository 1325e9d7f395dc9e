"""A topic's way to where it is: neighbouring steps with the share of the whole window at the end of each."""

from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

import msgspec

from stream.windows import Counts, WindowTable, moment_of

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


def steps_of(window: int, history: int) -> Steps:
    """Round steps for a window of `window` minutes, so that a chart reaches far beyond it but not beyond `history`."""
    wanted = min(window / STEPS_PER_WINDOW, history / POINTS)
    fitting = (step for step in ROUND_STEPS if step >= wanted and window % step == 0)
    return Steps(next(fitting, window))


def trail(table: WindowTable, topic: str, end: int, window: int, steps: Steps) -> list[Point]:
    """The steps up to minute `end`, oldest first; the last one is cut short there.

    Steps lie on a grid of their own length, so that a bar once drawn does not change its edges as time goes on.
    `share` of the last point is that of the window [end - window, end).
    """
    step, points = steps
    last = (end - 1) // step * step
    before = window // step
    done = table.series(topic, last, step, points - 1 + before)
    stories = list(accumulate((counts.stories for counts in done), initial=0))
    negative = list(accumulate((counts.negative_stories for counts in done), initial=0))
    trail = []
    for index in range(points - 1):
        upto, since = index + 1 + before, index + 1
        start = last - (points - 1 - index) * step
        whole = stories[upto] - stories[since], negative[upto] - negative[since]
        trail.append(_point(start, start + step, done[before + index], *whole))
    window_now = table.window(topic, end, window)
    now = _point(last, end, table.window(topic, end, end - last), window_now.stories, window_now.negative_stories)
    return [*trail, now]


def _point(start: int, end: int, counts: Counts, stories: int, negative: int) -> Point:
    share = negative / stories if stories >= LEAST_STORIES else None
    return Point(moment_of(start), moment_of(end), counts.stories, counts.negative_stories, share)
