"""Whether a reader stands still though records stand before it. Pure: positions and the clock are passed in.

aiokafka 0.14 says nothing where its task that fetches has ended: every later call gives no records, for ever.
"""

from collections.abc import Mapping

from aiokafka import TopicPartition

LOOK_SECONDS = 5.0
"""The most that counts between two looks: a reader that was busy, or a machine that slept, is no broker that does."""


class Standstill:
    """Looks at the positions again and again and adds up for how long none has moved."""

    def __init__(self) -> None:
        self._positions: dict[TopicPartition, int] = {}
        self._looked: float | None = None
        self._seconds = 0.0

    def look(self, positions: Mapping[TopicPartition, int], *, behind: bool, now: float) -> float:
        """Seconds for which nothing has moved; 0 where something has, or where none is `behind` the end.

        `now` is of a clock that goes forward, in seconds.
        """
        if behind and self._looked is not None and positions == self._positions:
            self._seconds += min(now - self._looked, LOOK_SECONDS)
        else:
            self._seconds = 0.0
        self._positions, self._looked = dict(positions), now
        return self._seconds
