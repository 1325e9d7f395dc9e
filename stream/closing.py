"""Ending Kafka clients, whatever state they and the broker are in."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from stream.errors import StuckMemberError

logger = logging.getLogger(__name__)

UNSENT_SECONDS = 3.0
"""How long a producer that is told to stop waits for a broker that is away."""

LEAVE_SECONDS = 5.0
"""How long a broker may take to hear that a member leaves."""

AGAIN_SECONDS = 20.0
"""Longer than all of a round's clients take to close."""

ABANDON_SECONDS = 1.0
"""How long what was cancelled may take to end."""


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raises `CancelledError` where the task was told to end within the block and the block went on.

    aiokafka 0.14 suppresses cancellations while it waits for tasks of its own to end, whomever they are meant for: a
    worker that was told to stop at such a moment went on, and never ended.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


async def end_task(task: "asyncio.Future[Any]") -> None:
    """Cancels the task, again every `AGAIN_SECONDS`, until it is done: aiokafka may suppress a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stops the producer; what it could not send within `UNSENT_SECONDS` is given up, as is all where it cannot stop.

    An idempotent producer of aiokafka 0.14 tries for ever, so that its `stop` would wait for a broker that never comes
    back. Nobody misses what is given up: it was not acknowledged, so the one who wrote it does not go on from there.
    """
    try:
        async with asyncio.timeout(UNSENT_SECONDS):
            with cancellation_kept():
                await producer.stop()
    except TimeoutError:
        logger.warning("the broker is away, unsent records are given up")
    except Exception as error:
        logger.warning("a producer could not be stopped error=%s: %s", type(error).__name__, error)
    else:
        return
    await _end([producer._sender.sender_task] if producer._sender is not None else [], producer.client)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stops the consumer and closes its connections."""
    try:
        with cancellation_kept():
            await consumer.stop()
    except asyncio.CancelledError:
        # aiokafka 0.14 lets the cancellation of its own fetch tasks out when the broker is away, and then leaves its
        # client open. Only where this task was told to end is the cancellation meant for it.
        await _close(consumer._client)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def leave_group(consumer: AIOKafkaConsumer) -> None:
    """Stops a consumer that is a member of a group; where that fails, or nobody hears it, all that is left is ended.

    The group then waits for one session and goes on. What is left would send heartbeats and keep its partitions, so
    that nobody reads them while this process lives: seen when an error was put into `stop`, and when the connection to
    a broker that was killed closed right then. Raises `StuckMemberError` where some of it does not end.
    """
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await stop_consumer(consumer)
    except TimeoutError:
        logger.warning("the broker did not hear that a member leaves its group")
    except asyncio.CancelledError:  # whoever waits for it to leave was told to end
        await _end_member(consumer)
        raise
    except Exception as error:
        logger.warning("a member could not leave its group error=%s: %s", type(error).__name__, error)
    else:
        return
    if left := await _end_member(consumer):
        raise StuckMemberError(
            f"a consumer cannot leave its group, and would keep its partitions: {len(left)} of its tasks do not end",
            fix="the worker ends, so that the group takes them away: start it again",
        )


async def _end_member(consumer: AIOKafkaConsumer) -> set[asyncio.Task[None]]:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    tasks = []
    if coordinator is not None:  # there is none before the broker was found
        tasks += [coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task]
    if fetcher is not None:
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]
    return await _end(tasks, consumer._client)


async def _end(tasks: Iterable[asyncio.Task[None] | None], client: AIOKafkaClient) -> set[asyncio.Task[None]]:
    """Ends a client's tasks and closes its connections, without a word to the broker; returns what does not end."""
    left = {task for task in tasks if task is not None and not task.done()}
    deadline = monotonic() + ABANDON_SECONDS
    while left and monotonic() < deadline:
        for task in left:
            task.cancel()  # some wait for their requests once more, which a second one ends
        _, left = await asyncio.wait(left, timeout=0.05)
    await _close(client)
    return left


async def _close(client: AIOKafkaClient) -> None:
    """Closes every connection, though one of them fails to: uvloop refuses what is done to one that is closed."""
    try:
        await client.close()
    except Exception as error:
        logger.warning("a connection could not be closed error=%s: %s", type(error).__name__, error)
        for connection in list(client._conns.values()):
            if connection._read_task is not None:
                connection._read_task.cancel()
            with suppress(Exception):
                connection.close()
