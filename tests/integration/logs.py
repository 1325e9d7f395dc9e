"""Reading topics of a real broker back, for tests."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import kafka

from stream.broker import BrokerSettings
from stream.records import Bucket, Checkpoint
from stream.topics import Topic, Topics
from stream.windows_log import decode_window


def read_all(broker: BrokerSettings, topic: Topic) -> list[Any]:
    """Every record that stands in the topic now, in order within each partition."""
    places = [kafka.TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
    consumer = kafka.KafkaConsumer(
        **broker.client_options(), enable_auto_commit=False, max_partition_fetch_bytes=30_000_000
    )
    try:
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        records: list[Any] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for fetched in consumer.poll(200).values():
                records += fetched
        return records
    finally:
        consumer.close()


def read_windows(broker: BrokerSettings, topics: Topics) -> tuple[dict[tuple[int, str], Bucket], dict[int, Checkpoint]]:
    """The newest value of each bucket by partition and key, and the highest checkpoint of each partition."""
    buckets: dict[tuple[int, str], Bucket] = {}
    checkpoints: dict[int, Checkpoint] = {}
    for record in read_all(broker, topics.windows):
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Checkpoint):
            known = checkpoints.get(record.partition)
            if known is None or known.position <= entry.position:
                checkpoints[record.partition] = entry
        elif entry is not None:
            held = buckets.get((record.partition, entry.key))
            if held is None or held.applied <= entry.applied:
                buckets[record.partition, entry.key] = entry
    return buckets, checkpoints


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Waits for something to hold, asking some times a second; fails the test with `what` when it never does."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"after {seconds:.0f} s still not so: {what}"
        sleep(0.2)
