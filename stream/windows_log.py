"""Reading `windows` back: what stands in a partition up to its present end, and what a record of it is."""

from collections.abc import AsyncIterator

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream.broker import BrokerSettings
from stream.records import CHECKPOINT_KEY, Bucket, Checkpoint, WindowRecord

_CHECKPOINT = CHECKPOINT_KEY.encode()
_buckets = msgspec.json.Decoder(Bucket)
_checkpoints = msgspec.json.Decoder(Checkpoint)


def decode_window(key: bytes | None, value: bytes | None) -> WindowRecord | None:
    """The record, or None for a tombstone. Raises `msgspec.DecodeError` where it is neither."""
    if not value:
        return None
    return _checkpoints.decode(value) if key == _CHECKPOINT else _buckets.decode(value)


async def read_to_end(broker: BrokerSettings, place: TopicPartition) -> AsyncIterator[ConsumerRecord]:
    """Every record that stands in the partition when this is called, oldest first."""
    consumer = AIOKafkaConsumer(**broker.client_options(), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        start = (await consumer.beginning_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        # Compaction leaves holes, the last offset among them: the position tells when the end is reached.
        while start < end and await consumer.position(place) < end:
            fetched = await consumer.getmany(place, timeout_ms=500, max_records=10_000)
            for record in fetched.get(place, ()):
                if record.offset < end:
                    yield record
    finally:
        await consumer.stop()
