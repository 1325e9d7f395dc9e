"""Ending Kafka clients, whatever state they and the broker are in."""

import asyncio

from aiokafka import AIOKafkaConsumer


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
