"""Ending Kafka clients, whatever state they and the broker are in."""

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from stream.errors import StuckMemberError

logger = logging.getLogger(__name__)

UNSENT_SECONDS = 3.0
"""How long a producer that is told to stop waits for a broker that is away."""

LEAVE_SECONDS = 5.0
"""How long a broker may take to hear that a member leaves."""


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
        sender = producer._sender.sender_task if producer._sender is not None else None
        while sender is not None and not sender.done():
            sender.cancel()  # it waits for each of its requests in turn, which this ends one by one
            await asyncio.wait({sender}, timeout=0.01)
        await producer.client.close()


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
    """Stops a consumer that is a member of a group. Raises `StuckMemberError` where it does not stop.

    What is left of it goes on to send heartbeats and keeps its partitions, so nobody reads them while this process
    lives: seen when an error was put into `stop`.
    """
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await stop_consumer(consumer)
    except Exception as error:
        await consumer._client.close()  # what of it still waits for an answer would hold up the end of the process
        raise StuckMemberError(
            f"a consumer cannot leave its group ({type(error).__name__}: {error}), and would keep its partitions",
            fix="the worker ends, so that the group takes them away: start it again",
        ) from error
