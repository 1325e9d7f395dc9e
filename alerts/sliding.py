"""The sum over a window that moves on a step at a time. Pure.

What can no longer change is kept as one sum a step, so that a week needs 28 sums and the table beneath need not hold
its minutes.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from itertools import chain

from stream.headlines import most_negative
from stream.records import Evidence
from stream.windows import NOTHING, Counts, WindowTable


@dataclass(frozen=True, slots=True)
class _Part:
    end: int
    counts: Counts
    evidence: tuple[Evidence, ...]


class Sliding:
    """One topic's window of `length` minutes at multiples of `step`. It is only ever asked about later moments."""

    def __init__(self, topic: str, length: int, step: int, *, evidence: int) -> None:
        self._topic = topic
        self._length = length
        self._step = step
        self._evidence = evidence
        self._parts: deque[_Part] = deque()
        self._total = NOTHING
        self._settled: int | None = None

    def at(self, table: WindowTable, t: int) -> Counts:
        """The counts of [t - length, t)."""
        self._leave(t)
        return self._total.plus(self._sum(table, self.settled(t), t))

    def newest(self, table: WindowTable, t: int, length: int) -> Counts:
        """The counts of the last `length` minutes, whole steps, of the window that `at` was last asked for."""
        total = self._sum(table, max(self.settled(t), t - length), t)
        for part in reversed(self._parts):
            if part.end <= t - length:
                break
            total = total.plus(part.counts)
        return total

    def evidence(self, table: WindowTable, t: int) -> tuple[Evidence, ...]:
        """The most negative headlines of the window that `at` was last asked for."""
        recent = table.evidence(self._topic, t, t - self.settled(t), self._evidence)
        return most_negative(chain(recent, *(part.evidence for part in self._parts)), self._evidence)

    def settled(self, t: int) -> int:
        """The minute from which on the window at `t` is read from the table; the table must keep these minutes."""
        start = t - self._length
        return start if self._settled is None else max(self._settled, start)

    @property
    def settled_total(self) -> Counts:
        """The part of the window before `settled`."""
        return self._total

    def settle(self, table: WindowTable, t: int, closed: int) -> None:
        """Moves what lies before the minute `closed`, and so can no longer change, out of the table, at moment `t`."""
        t -= t % self._step
        self._leave(t)
        until = min(t, closed) // self._step * self._step
        for end in range(self.settled(t) + self._step, until + 1, self._step):
            counts = self._sum(table, end - self._step, end)
            if counts.documents:
                evidence = table.evidence(self._topic, end, self._step, self._evidence) if counts.negative else ()
                self._parts.append(_Part(end, counts, evidence))
                self._total = self._total.plus(counts)
        if until > self.settled(t):
            self._settled = until

    def _leave(self, t: int) -> None:
        """Drops what left the window."""
        while self._parts and self._parts[0].end <= t - self._length:
            self._total = self._total.minus(self._parts.popleft().counts)

    def _sum(self, table: WindowTable, start: int, end: int) -> Counts:
        """The counts of [start, end), asked for no wider than there are buckets: a sparse topic costs next to none."""
        minutes = table.minutes(self._topic)
        first, after = bisect_left(minutes, start), bisect_left(minutes, end)
        if first == after:
            return NOTHING
        last = minutes[after - 1] + 1
        return table.window(self._topic, last, last - minutes[first])
