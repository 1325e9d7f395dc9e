"""The feed shows that it goes on, before it has come into its loop too; brokers are met in `tests/browser`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self

import pytest

from dashboards.console import feed
from dashboards.console.feed import ROLE, Feed
from stream import metrics
from stream.broker import BrokerSettings
from stream.following import Read
from stream.topics import Topics, TopicSettings
from stream.windows import THIN_AFTER
from tests.unit.dashboards.console.records import PARTITIONS, at, bucket, checkpoint, evidence, new_board, new_state
from tests.unit.stream.headlines import headlines_of


class LongLog:
    """In the place of a `Follower`: a past of three parts, and then nothing for ever."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.document_ends: dict[int, int] = {}
        self.beats: list[float] = []
        self.loaded = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def load(self) -> AsyncIterator[tuple[float, list[Read]]]:
        for part in range(3):
            self.beats.append(beat())
            metrics.HEARTBEAT.labels(ROLE).set(0)
            yield part / 3, []
        self.beats.append(beat())

    async def read(self) -> list[Read]:
        self.loaded.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_of_a_long_stream_few_headlines_are_held() -> None:
    state = new_state(retained=10 * THIN_AFTER)
    reading = Feed(BrokerSettings(), Topics(TopicSettings()), new_board(state), new_state, lambda _control: None)
    for minute in range(2 * THIN_AFTER):
        worse = evidence(f"Headline {minute}", negative=0.5 + minute / 10_000, minute=minute)
        reading._put(state, [Read(bucket("Macro", minute, headlines=(worse,)), at(minute))])
        reading._put(state, [Read(checkpoint(number, minute, minute), at(minute)) for number in range(PARTITIONS)])
    assert len(headlines_of(state.table)) < THIN_AFTER


def beat() -> float:
    value: float = metrics.HEARTBEAT.labels(ROLE)._value.get()
    return value


def test_the_start_and_a_long_past_that_is_being_read_are_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    log = LongLog()
    monkeypatch.setattr(feed, "Follower", lambda *_, **__: log)
    monkeypatch.setattr(feed, "ensure_topics", lambda *_: [])
    metrics.HEARTBEAT.labels(ROLE).set(0)

    async def run() -> None:
        board = new_board(new_state())
        reading = Feed(BrokerSettings(), Topics(TopicSettings()), board, new_state, lambda _control: None)
        running = asyncio.ensure_future(reading.run())
        async with asyncio.timeout(10):
            await log.loaded.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert len(log.beats) >= 4
    assert all(log.beats)
