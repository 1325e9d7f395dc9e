"""How far the judge had come when it was stopped: kept with its consumer group's offsets on the broker."""

from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from stream.topics import Topics

GROUP = "alerts"


class _Mark(msgspec.Struct):
    judged: datetime


class JudgedMark:
    """Reads and writes the moment up to which every alert was told and acknowledged.

    The `alerts` topic alone does not say that a moment was judged calm; without the mark, documents that came late to
    such a moment would make a restarted judge tell of an event that has long passed.
    """

    def __init__(self, topics: Topics) -> None:
        self.group = topics.group(GROUP)
        self._place = TopicPartition(topics.windows.name, 0)

    async def read(self, admin: AIOKafkaAdminClient) -> datetime | None:
        """The moment; None where no judge of this group has committed one. Raises `KafkaError`."""
        found = (await admin.list_consumer_group_offsets(self.group, partitions=[self._place])).get(self._place)
        if found is None or not found.metadata:
            return None
        return msgspec.json.decode(found.metadata, type=_Mark).judged.astimezone(UTC)

    async def write(self, consumer: AIOKafkaConsumer, judged: datetime) -> None:
        """Replaces the moment. Raises `KafkaError`."""
        position = await consumer.position(self._place)
        metadata = msgspec.json.encode(_Mark(judged)).decode()
        await consumer.commit({self._place: OffsetAndMetadata(position, metadata)})
