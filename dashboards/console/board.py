"""The state and the connection as of now, and a way to wait until they change. Lives in one event loop."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from dashboards.console.state import ConsoleState
from dashboards.console.view import Connection, Link


class Board:
    """What the feed writes and the pages read. `version` grows with every change."""

    def __init__(self, state: ConsoleState, *, now: Callable[[], datetime]) -> None:
        self.state = state
        self.connection = Connection(since=now())
        self.version = 0
        self.closed = False
        self.now = now
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Tells whoever waits that the state is another."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def replace(self, state: ConsoleState) -> None:
        """Puts a state that was built anew in the place of the old one."""
        self.state = state
        self.changed()

    def connect(self, link: Link, detail: str = "") -> None:
        """Says how the broker stands; `since` moves only where it stands otherwise than before."""
        since = self.connection.since if link == self.connection.state else self.now()
        connection = Connection(state=link, since=since, detail=detail)
        if connection != self.connection:
            self.connection = connection
            self.changed()

    def close(self) -> None:
        """Ends every live page: the console stops."""
        self.closed = True
        self.changed()

    async def wait(self, seen: int, seconds: float) -> None:
        """Returns once the version is not `seen`, the board is closed, or the time is over."""
        if self.version != seen or self.closed:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
