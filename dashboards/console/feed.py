"""Reads `windows`, `alerts` and `control` from their start and on. Keeps nothing: a restart reads again."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from dashboards.console.board import Board
from dashboards.console.settings import ConsoleSettings
from dashboards.console.state import ConsoleState
from stream import metrics
from stream.broker import BrokerSettings, ensure_topics
from stream.control import ControlTable
from stream.following import Follower, Read, keep_following
from stream.records import Alert, Bucket
from stream.settings import StreamSettings
from stream.topics import Topics

ROLE = "console"


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def empty_state(topics: Topics, settings: ConsoleSettings, stream: StreamSettings) -> ConsoleState:
    """A state that has read nothing."""
    return ConsoleState(
        topics.windows.partitions,
        retained=settings.retained_minutes(),
        idle=timedelta(seconds=stream.idle_seconds),
        follow_clock=stream.follow_clock,
    )


class Feed:
    """Fills a board from Kafka until it is cancelled.

    After any trouble with the broker everything is read anew, so nothing of a log that is gone stays on the page;
    until that is done the board keeps what was known.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        board: Board,
        new_state: Callable[[], ConsoleState],
        heed: Callable[[ControlTable], None],
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._board = board
        self._new_state = new_state
        self._heed = heed
        """Told what `control` says, at least as often as that changes; must not wait for anything."""
        self._now = now

    async def run(self) -> NoReturn:
        """Reads for ever; trouble with the broker is shown and tried again."""
        # A role that never comes into its loop is stuck too.
        metrics.HEARTBEAT.labels(ROLE).set_to_current_time()
        await keep_following(ROLE, self._follow, lost=lambda error: self._board.connect("lost", _said(error)))

    async def _follow(self) -> NoReturn:
        control = ControlTable()
        async with Follower(self._broker, self._topics, role=ROLE, control=control) as log:
            topics = self._topics
            needed = (topics.documents, topics.windows, topics.alerts, topics.control)
            await asyncio.to_thread(ensure_topics, self._broker, needed)
            state = self._new_state()
            async for share, records in log.load():
                self._board.connect("loading", f"reading, {share:.0%}")
                self._put(state, records)
                metrics.HEARTBEAT.labels(ROLE).set_to_current_time()
            state.observe_ends(log.document_ends, self._now())
            state.loaded(self._now())
            self._board.replace(state)
            self._board.connect("live")
            while True:
                self._heed(control)
                records = await log.read()
                self._put(state, records)
                state.observe_ends(log.document_ends, self._now())
                if records:
                    self._board.changed()
                metrics.HEARTBEAT.labels(ROLE).set_to_current_time()

    def _put(self, state: ConsoleState, records: list[Read]) -> None:
        for entry, written in records:
            if isinstance(entry, Alert):
                state.put_alert(entry)
            elif isinstance(entry, Bucket):
                state.put_bucket(entry)
            else:
                state.put_checkpoint(entry, written, self._now())
        state.thin()


def _said(error: BaseException) -> str:
    return getattr(error, "message", "") or str(error) or "The broker did not answer in time."
