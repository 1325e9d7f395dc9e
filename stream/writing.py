"""Appending records to one partition in order, acknowledged by every replica before the next ones are sent.

Rule 3 of the promise needs that no record stands in the log while an earlier one is missing. So nothing follows a
batch that has not been acknowledged, and after an error the producer is thrown away together with what it held.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from stream.broker import BrokerSettings

BATCH_BYTES = 1 << 20
"""A flush of a busy partition is a few requests; larger ones gain nothing on a broker's default limits."""


ACKNOWLEDGED_SECONDS = 120.0
"""Longer than a broker takes to restart, or a leader to be chosen."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record to be written."""

    key: bytes
    value: bytes
    timestamp_ms: int | None = None


def open_producer(broker: BrokerSettings, *, client_id: str, max_record_bytes: int = BATCH_BYTES) -> AIOKafkaProducer:
    """A producer that is idempotent and waits for every in-sync replica; the caller starts and stops it."""
    return AIOKafkaProducer(
        **broker.client_options(),
        client_id=client_id,
        enable_idempotence=True,
        acks="all",
        max_batch_size=BATCH_BYTES,
        # Base64 and the envelope of a dead letter make a record larger than what was read.
        max_request_size=2 * max(BATCH_BYTES, max_record_bytes),
    )


async def append(producer: AIOKafkaProducer, topic: str, partition: int, entries: Iterable[Entry]) -> None:
    """Writes the entries in order and returns when all are acknowledged. Raises what the producer raises.

    Raises `TimeoutError` where a batch is not acknowledged within `ACKNOWLEDGED_SECONDS`: the producer tries for ever.
    """
    batch: Any = producer.create_batch()
    for entry in entries:
        if not _add(batch, entry):
            await _send(producer, batch, topic, partition)
            batch = producer.create_batch()
            _add(batch, entry)  # an empty batch takes a record of any size
    if batch.record_count():
        await _send(producer, batch, topic, partition)


async def _send(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> None:
    async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
        await (await producer.send_batch(batch, topic, partition=partition))


def _add(batch: Any, entry: Entry) -> bool:
    return batch.append(key=entry.key, value=entry.value, timestamp=entry.timestamp_ms) is not None
