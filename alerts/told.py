"""The stretches of time that alerts of one topic have spoken of: they stay out of its past, and fire no second alert.

Pure.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Stretch:
    """One alert's time, in minutes since the epoch."""

    judge: str
    begin: int
    """Where the window began that fired."""
    started: int
    ended: int | None = None

    def overlaps(self, start: int, end: int) -> bool:
        return self.begin < end and (self.ended is None or start < self.ended)


class Told:
    """All alerts of one topic.

    An alert that lasts longer than `adapt` minutes keeps its later time out of nothing: by then it is the new normal.
    """

    def __init__(self, adapt: int) -> None:
        self._adapt = adapt
        self._stretches: list[Stretch] = []

    def begin(self, judge: str, begin: int, started: int) -> None:
        """An alert started whose window began at `begin`."""
        self._stretches.append(Stretch(judge, begin, started))

    def end(self, judge: str, ended: int) -> None:
        """The standing alert of this judge ended."""
        for stretch in self._stretches:
            if stretch.judge == judge and stretch.ended is None:
                stretch.ended = ended

    def overlaps(self, judge: str, start: int, end: int) -> bool:
        """Whether an alert of this judge, standing or finished, spoke of some of [start, end)."""
        return any(s.overlaps(start, end) for s in self._stretches if s.judge == judge)

    def finished_after(self, judge: str, start: int) -> bool:
        """Whether an alert of this judge ended after `start`: a window from there still holds what it spoke of."""
        return any(s.ended is not None and start < s.ended for s in self._stretches if s.judge == judge)

    # What follows is asked of past windows, when a judged window begins at their end or later. Only alerts that had
    # started by then count, so that the answer does not depend on when it is asked.

    def excludes(self, start: int, end: int) -> bool:
        """Whether the window [start, end) stays out of the past."""
        return any(
            stretch.started <= end + (end - start)
            and stretch.overlaps(start, end)
            and start < stretch.started + self._adapt
            for stretch in self._stretches
        )

    def calm(self, start: int, end: int) -> int:
        """The end of the window [start, end) on a clock that stands still during alerts."""
        known = [stretch for stretch in self._stretches if stretch.started <= end + (end - start)]
        frozen, reached = 0, -(2**62)
        for stretch in sorted(known, key=lambda stretch: stretch.begin):
            until = min(end, stretch.started + self._adapt, end if stretch.ended is None else stretch.ended)
            frozen += max(0, until - max(stretch.begin, reached))
            reached = max(reached, until)
        return end - frozen
