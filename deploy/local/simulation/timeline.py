"""The scenario on a clock: what has been published by now, looked up by outlet, by cursor and by name."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor

from deploy.local.simulation.newsroom import Draft, Item, items
from deploy.local.simulation.outlets import SOCIAL
from deploy.local.simulation.scenario import Scenario

Clock = Callable[[], datetime]

_TOKEN = re.compile(r"([0-9]{1,12})-([0-9]{1,6})")
_NO_SLUG = re.compile(r"[^a-z0-9]+")


class CursorError(ValueError):
    """A cursor that this server did not give out."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One article or post with its time and its address."""

    token: str
    """Names it for ever, across restarts: the second of its publication since the epoch, and its number there."""
    at: datetime
    path: str
    draft: Draft


class Timeline:
    """A scenario that began at `started`, a whole second. Holds nothing but what it is given, so it never grows.

    A second's items appear together when the second is over: so feeds change at whole seconds, which is as fine as
    `Last-Modified` can say.
    """

    def __init__(self, scenario: Scenario, started: datetime, clock: Clock) -> None:
        self.scenario = scenario
        self._clock = clock
        self.epoch = floor(started.timestamp())
        """The second of the start since 1970."""

    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock().timestamp() - self.epoch

    def newest(self, outlet: str, limit: int) -> list[Publication]:
        """The newest items of an outlet, newest first."""
        found: list[Publication] = []
        for second in range(floor(self.elapsed()) - 1, -self.scenario.history_seconds - 1, -1):
            found += (self._publish(item) for item in reversed(self._of(outlet, second)))
            if len(found) >= limit:
                break
        return found[:limit]

    def posts_after(self, cursor: str, limit: int) -> tuple[list[Publication], str]:
        """Up to `limit` posts after those that `cursor` stands for, oldest first, and the cursor behind them.

        An empty cursor is the start of the past; one of an earlier run of the server goes on from its time. Raises
        `CursorError`.
        """
        found: list[Publication] = []
        for item in self._posts_from(cursor):
            if len(found) == limit:
                break
            found.append(self._publish(item))
        return found, found[-1].token if found else cursor

    def find(self, token: str) -> Publication | None:
        """The item called `token`, if it has been published."""
        place = self._place(token)
        if place is None or place[0] >= floor(self.elapsed()):
            return None
        return next((self._publish(item) for item in items(self.scenario, place[0]) if item.number == place[1]), None)

    def _posts_from(self, cursor: str) -> Iterator[Item]:
        place = self._place(cursor) if cursor else (-self.scenario.history_seconds, -1)
        if place is None:
            raise CursorError(f"{cursor!r} is no cursor of this server")
        for second in range(max(place[0], -self.scenario.history_seconds), floor(self.elapsed())):
            for item in self._of(SOCIAL, second):
                if (item.second, item.number) > place:
                    yield item

    def _of(self, outlet: str, second: int) -> list[Item]:
        return [item for item in items(self.scenario, second) if item.draft.outlet == outlet]

    def _publish(self, item: Item) -> Publication:
        token = f"{self.epoch + item.second}-{item.number}"
        at = datetime.fromtimestamp(self.epoch + item.second, UTC)
        at += timedelta(milliseconds=floor(1000 * item.draft.offset))
        slug = _NO_SLUG.sub("-", item.draft.story.title.lower()).strip("-")
        path = f"/{SOCIAL}/{token}" if item.draft.outlet == SOCIAL else f"/{item.draft.outlet}/{token}/{slug}"
        return Publication(token, at, path, item.draft)

    def _place(self, token: str) -> tuple[int, int] | None:
        """The second since the start and the number in it that a token means; None where it is no token."""
        match = _TOKEN.fullmatch(token)
        return (int(match[1]) - self.epoch, int(match[2])) if match else None
