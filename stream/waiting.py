"""What was fetched and waits for the classifier."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from stream.scoring import Received

WAITING_BYTES = 32 << 20
"""Of documents that wait for the classifier; no more are fetched beyond. A full batch of headlines has 0.3 MB."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetch brought."""

    epoch: int
    """Of the group's assignments: what came before partitions were taken away is nobody's any more."""
    restored: dict[int, datetime | None]
    """Watermarks of partitions that begin with it."""
    received: list[Received]


class Waiting:
    """At most as much as the classifier is given at once, and not too many bytes."""

    def __init__(self, documents: int) -> None:
        self._most = documents
        self._fetched: list[Fetched] = []
        self._bytes = 0
        self._put, self._taken = asyncio.Event(), asyncio.Event()

    async def room(self) -> int:
        """How many documents more may wait; returns once it is one or more."""
        while (
            room := self._most - sum(len(fetched.received) for fetched in self._fetched)
        ) <= 0 or self._bytes >= WAITING_BYTES:
            self._taken.clear()
            await self._taken.wait()
        return room

    def put(self, fetched: Fetched) -> None:
        """Adds it, whatever room there is."""
        self._fetched.append(fetched)
        self._bytes += sum(len(record.value or b"") for record in fetched.received)
        self._put.set()

    async def take(self) -> list[Fetched]:
        """All that waits, in order; returns once it is one fetch or more."""
        while not self._fetched:
            self._put.clear()
            await self._put.wait()
        taken, self._fetched, self._bytes = self._fetched, [], 0
        self._taken.set()
        return taken
