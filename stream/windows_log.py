"""Reading `windows` back: what stands in a partition up to its present end, and what a record of it is."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from time import monotonic

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.closing import stop_consumer
from stream.errors import BrokerError
from stream.records import CHECKPOINT_KEY, Bucket, Checkpoint, WindowRecord, require_known

NEWEST_RECORDS = 10_000
"""More than a flush writes before its checkpoint, unless documents may be late by days: then all is held until it."""

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
    """Every record that stands in the partitions when this is called: the newest of each, then the ones before these.

    Either stretch of a partition comes oldest first. Among the newest `NEWEST_RECORDS` stands, as a rule, a checkpoint,
    which says what is closed: weeks of buckets are then passed over one by one, and not held until they are known to be
    old. Raises `BrokerError` where the broker gives nothing more for `STALLED_SECONDS` before their end.
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
        newest = newest_from(starts, ends)
        nothing = silent(broker)
        for begin, end in ((newest, ends), (starts, newest)):
            async for record in _stretch(consumer, begin, end, nothing):
                yield record
    finally:
        await stop_consumer(consumer)


def newest_from(starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Where the newest `NEWEST_RECORDS` of each partition begin."""
    return {place: max(starts[place], end - NEWEST_RECORDS) for place, end in ends.items()}


async def _stretch(
    consumer: AIOKafkaConsumer,
    begin: Mapping[TopicPartition, int],
    end: Mapping[TopicPartition, int],
    nothing: BrokerError,
) -> AsyncIterator[ConsumerRecord]:
    """The records at [begin, end) of each partition; raises `nothing` where none comes for `STALLED_SECONDS`."""
    unread = {place for place in begin if begin[place] < end[place]}
    for place in unread:
        consumer.seek(place, begin[place])
    heard = monotonic()
    while unread:
        fetched = await consumer.getmany(*unread, timeout_ms=100, max_records=10_000)
        if not fetched and monotonic() - heard > STALLED_SECONDS:
            raise nothing
        for place, records in fetched.items():
            for record in records:
                if record.offset < end[place]:
                    yield record
        if fetched:
            heard = monotonic()  # whoever takes them may be slow
        # Compaction leaves holes, the last offset among them: the position tells when the end is reached.
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                unread = {place for place in unread if await consumer.position(place) < end[place]}
        except TimeoutError:
            raise nothing from None
