"""What stands in a topic at this moment, for commands and tests that look and do not follow."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import kafka
import kafka.errors

from stream.broker import BrokerSettings, unreachable
from stream.records import Checkpoint
from stream.topics import Topic
from stream.windows_log import decode_window

LARGEST_FETCH_BYTES = 50_000_000


class TopicReader:
    """Reads a topic from its start; each `read` gives what has come since the one before. A context manager.

    Raises `BrokerError` where Kafka cannot be reached.
    """

    def __init__(self, broker: BrokerSettings, topic: Topic) -> None:
        try:
            self._consumer = kafka.KafkaConsumer(
                **broker.client_options(),
                enable_auto_commit=False,
                max_partition_fetch_bytes=LARGEST_FETCH_BYTES,
                fetch_max_wait_ms=100,
            )
        except kafka.errors.KafkaError as error:
            raise unreachable(broker, error) from error
        # As many as the topic has, whatever the settings say: what is not read would be missed in silence.
        numbers = sorted(self._consumer.partitions_for_topic(topic.name) or range(topic.partitions))
        self._places = [kafka.TopicPartition(topic.name, partition) for partition in numbers]
        self._consumer.assign(self._places)
        self._consumer.seek_to_beginning()

    def read(self) -> Iterator[Any]:
        """Every new record (kafka-python's) that stands there when this is called, in order within each partition."""
        ends = self._consumer.end_offsets(self._places)
        # Compaction leaves holes: the position, not the last record, tells when the end is reached.
        while any(self._consumer.position(place) < ends[place] for place in self._places):
            for records in self._consumer.poll(100).values():
                yield from records

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_topic(broker: BrokerSettings, topic: Topic) -> Iterator[Any]:
    """Every record that stands in the topic when this is called, in order within each partition."""
    with TopicReader(broker, topic) as reader:
        yield from reader.read()


def furthest(records: Iterable[Any], known: dict[int, Checkpoint]) -> dict[int, Checkpoint]:
    """The furthest checkpoint by partition among records of `windows` and those known before."""
    result = dict(known)
    for record in records:
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Checkpoint):
            held = result.get(record.partition)
            if held is None or held.position <= entry.position:
                result[record.partition] = entry
    return result
