"""Ending Kafka clients, whatever state they and the broker are in."""

import asyncio

from aiokafka import AIOKafkaConsumer

from stream.errors import StuckMemberError


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
        await stop_consumer(consumer)
    except Exception as error:
        raise StuckMemberError(
            f"a consumer cannot leave its group ({type(error).__name__}: {error}), and would keep its partitions",
            fix="the worker ends, so that the group takes them away: start it again",
        ) from error
