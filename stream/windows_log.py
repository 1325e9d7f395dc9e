"""Reading `windows` back: what stands in a partition up to its present end, and what a record of it is."""

import asyncio
from collections.abc import AsyncIterator, Collection
from time import monotonic

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.closing import stop_consumer
from stream.records import CHECKPOINT_KEY, Bucket, Checkpoint, WindowRecord, require_known

_CHECKPOINT = CHECKPOINT_KEY.encode()
_buckets = msgspec.json.Decoder(Bucket)
_checkpoints = msgspec.json.Decoder(Checkpoint)


def decode_window(key: bytes | None, value: bytes | None) -> WindowRecord | None:
    """The record, or None for a tombstone. Raises `msgspec.DecodeError` where it is neither, or `SchemaError`."""
    if not value:
        return None
    record: WindowRecord = (
        _checkpoints.decode(value) if (key or b"").startswith(_CHECKPOINT) else _buckets.decode(value)
    )
    require_known(record.schema)
    return record


async def read_to_end(broker: BrokerSettings, places: Collection[TopicPartition]) -> AsyncIterator[ConsumerRecord]:
    """Every record that stands in the partitions when this is called, oldest first within each.

    Raises `BrokerError` where the broker gives nothing more for `STALLED_SECONDS` before their end.
    """
    consumer = AIOKafkaConsumer(
        **broker.client_options(),
        client_id="finsentry-restoring",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        starts = await consumer.beginning_offsets(places)
        await consumer.seek_to_beginning(*places)
        unread = {place for place in places if starts[place] < ends[place]}
        heard = monotonic()
        nothing = silent(broker)
        while unread:
            fetched = await consumer.getmany(*unread, timeout_ms=100, max_records=10_000)
            if not fetched and monotonic() - heard > STALLED_SECONDS:
                raise nothing
            for place, records in fetched.items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            if fetched:
                heard = monotonic()  # whoever takes them may be slow
            # Compaction leaves holes, the last offset among them: the position tells when the end is reached.
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    unread = {place for place in unread if await consumer.position(place) < ends[place]}
            except TimeoutError:
                raise nothing from None
    finally:
        await stop_consumer(consumer)
