"""A member of a group is gone afterwards, or the worker is told that it is not."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from stream import closing
from stream.closing import end_task, leave_group, stop_consumer, stop_producer
from stream.errors import StuckMemberError


class Connection:
    _read_task = None

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Consumer:
    """As aiokafka's where its broker has just died: `stop` fails halfway, and so does closing its connections."""

    def __init__(self, heartbeat: "asyncio.Task[None]") -> None:
        self.heartbeat = heartbeat
        self._coordinator = SimpleNamespace(
            _coordination_task=None, _heartbeat_task=heartbeat, _commit_refresh_task=None
        )
        self._fetcher = SimpleNamespace(_fetch_task=None, _pending_tasks=set())
        self._client = self
        self._conns = {1: Connection()}
        self.closed = 0

    async def stop(self) -> None:
        raise RuntimeError("the handler is closed")

    async def close(self) -> None:
        self.closed += 1
        raise RuntimeError("the handler is closed")


async def beats() -> None:
    await asyncio.Event().wait()


async def beats_on() -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.5)
            return


def test_what_is_left_of_a_consumer_that_cannot_stop_is_ended() -> None:
    async def run() -> tuple[bool, int, int]:
        consumer: Any = Consumer(asyncio.ensure_future(beats()))
        await asyncio.sleep(0)
        await leave_group(consumer)
        return consumer.heartbeat.cancelled(), consumer.closed, consumer._conns[1].closed

    assert asyncio.run(run()) == (True, 1, 1)


def test_one_whose_broker_was_never_found_has_nothing_to_end() -> None:
    async def run() -> int:
        consumer: Any = Consumer(asyncio.ensure_future(beats()))
        consumer._coordinator = consumer._fetcher = None
        await leave_group(consumer)
        return int(consumer.closed)

    assert asyncio.run(run()) == 1


def test_who_is_told_to_end_while_a_member_leaves_ends_it_first() -> None:
    async def run() -> tuple[bool, bool]:
        consumer: Any = Consumer(asyncio.ensure_future(beats()))
        consumer.stop = beats
        leaving = asyncio.ensure_future(leave_group(consumer))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.wait({leaving})
        return leaving.cancelled(), consumer.heartbeat.cancelled()

    assert asyncio.run(run()) == (True, True)


def test_a_producer_that_cannot_stop_is_ended_without_an_error_of_its_own() -> None:
    async def run() -> bool:
        producer: Any = Consumer(asyncio.ensure_future(beats()))
        producer._sender = SimpleNamespace(sender_task=producer.heartbeat)
        producer.client = producer
        await asyncio.sleep(0)
        await stop_producer(producer)
        return bool(producer.heartbeat.cancelled())

    assert asyncio.run(run())


def test_one_that_goes_on_sending_heartbeats_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "ABANDON_SECONDS", 0.1)

    async def run() -> None:
        consumer: Any = Consumer(asyncio.ensure_future(beats_on()))
        await asyncio.sleep(0)
        await leave_group(consumer)

    with pytest.raises(StuckMemberError, match="would keep its partitions: 1 of its tasks do not end"):
        asyncio.run(run())


class Suppressing:
    """As aiokafka's: while it waits for its tasks to end, a cancellation of whoever waits for it is lost."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._client = self

    async def stop(self) -> None:
        self.stopping.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def close(self) -> None: ...


@pytest.mark.parametrize("stop", [stop_consumer, stop_producer])
def test_who_is_told_to_end_while_a_client_stops_ends(stop: Any) -> None:
    async def run() -> bool:
        client = Suppressing()

        async def goes_on() -> None:
            await stop(client)
            await asyncio.Event().wait()

        task = asyncio.ensure_future(goes_on())
        await client.stopping.wait()
        task.cancel()
        await asyncio.wait({task}, timeout=2)
        return task.cancelled()

    assert asyncio.run(run())


def test_a_task_to_which_a_cancellation_was_lost_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "AGAIN_SECONDS", 0.01)

    async def deaf_once() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def run() -> bool:
        task = asyncio.ensure_future(deaf_once())
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end_task(task)
        return task.cancelled()

    assert asyncio.run(run())
