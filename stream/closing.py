"""Ending Kafka clients, whatever state they and the broker are in."""

import asyncio
import logging
from collections.abc import Iterable
from time import monotonic

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from stream.errors import StuckMemberError

logger = logging.getLogger(__name__)

UNSENT_SECONDS = 3.0
"""How long a producer that is told to stop waits for a broker that is away."""

LEAVE_SECONDS = 5.0
"""How long a broker may take to hear that a member leaves."""

ABANDON_SECONDS = 1.0
"""How long what was cancelled may take to end."""


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stops the producer; what it could not send within `UNSENT_SECONDS` is given up.

    An idempotent producer of aiokafka 0.14 tries for ever, so that its `stop` would wait for a broker that never comes
    back. Nobody misses what is given up: it was not acknowledged, so the one who wrote it does not go on from there.
    """
    try:
        async with asyncio.timeout(UNSENT_SECONDS):
            await producer.stop()
    except TimeoutError:
        logger.warning("the broker is away, unsent records are given up")
        tasks = [producer._sender.sender_task] if producer._sender is not None else []
        await _end(tasks, producer.client)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stops the consumer and closes its connections."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        # aiokafka 0.14 lets the cancellation of its own fetch tasks out when the broker is away, and then leaves its
        # client open. Only where this task was told to end is the cancellation meant for it.
        await consumer._client.close()
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


async def leave_group(consumer: AIOKafkaConsumer) -> None:
    """Stops a consumer that is a member of a group. Raises `StuckMemberError` where it fails to stop.

    What is left of it then goes on to send heartbeats and keeps its partitions, so nobody reads them while this process
    lives: seen when an error was put into `stop`. Where the broker does not hear it, all that is left of it is ended,
    and the group waits for one session and goes on.
    """
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await stop_consumer(consumer)
    except TimeoutError:
        logger.warning("the broker did not hear that a member leaves its group")
        coordinator, fetcher = consumer._coordinator, consumer._fetcher
        tasks = [coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task]
        await _end([*tasks, fetcher._fetch_task, *fetcher._pending_tasks], consumer._client)
    except Exception as error:
        raise StuckMemberError(
            f"a consumer cannot leave its group ({type(error).__name__}: {error}), and would keep its partitions",
            fix="the worker ends, so that the group takes them away: start it again",
        ) from error


async def _end(tasks: Iterable[asyncio.Task[None] | None], client: AIOKafkaClient) -> None:
    """Ends a client's tasks and closes its connections, without a word to the broker."""
    left = {task for task in tasks if task is not None and not task.done()}
    deadline = monotonic() + ABANDON_SECONDS
    while left and monotonic() < deadline:
        for task in left:
            task.cancel()  # some wait for their requests once more, which a second one ends
        _, left = await asyncio.wait(left, timeout=0.05)
    await client.close()
