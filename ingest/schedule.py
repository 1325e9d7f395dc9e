"""When each source is read next. Pure: times are seconds of any monotonic clock, chance is passed in."""

from heapq import heapify, heappop, heappush
from typing import NamedTuple


class _Due(NamedTuple):
    at: float
    number: int


class Schedule:
    """Which of the sources 0..n-1 is due: first all at once, then each a while after it was last started."""

    def __init__(self, sources: int, now: float) -> None:
        self._due = [_Due(now, number) for number in range(sources)]
        heapify(self._due)

    def take(self, now: float) -> int | None:
        """The source that has been due for longest, now no longer scheduled; None where none is due."""
        if not self._due or self._due[0].at > now:
            return None
        return heappop(self._due).number

    def put(self, number: int, at: float) -> None:
        """Schedules a source that was taken."""
        heappush(self._due, _Due(at, number))

    def pause(self, now: float, longest: float) -> float:
        """Seconds until a source is due, at most `longest`."""
        return min(longest, max(0.0, self._due[0].at - now)) if self._due else longest


def next_start(started: float, now: float, every: float) -> float:
    """When a source that was started at `started` and has succeeded is due: a slow one at once, without a backlog."""
    return max(started + every, now)


def backoff(failures: int, every: float, longest: float, chance: float) -> float:
    """Seconds to wait after so many failures in a row: doubling from `every` up to `longest`, half of it by `chance`.

    `chance` is from [0, 1]: many crawlers must not come back to a recovering server at the same moment ("equal jitter",
    M. Brooker, "Exponential Backoff and Jitter", 2015).
    """
    ceiling = max(every, longest)
    doublings = min(failures - 1, 32)
    wait = min(ceiling, every * 2.0**doublings)
    return wait / 2 + wait / 2 * chance
