"""Documents into a real broker, workers over them, and what must have become of them."""

import re
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kafka
import msgspec

from stream.aggregation import PartitionCounter
from stream.broker import BrokerSettings
from stream.records import Bucket, Checkpoint, Document, ScoredDocument, encode
from stream.settings import StreamSettings
from stream.snapshot import TopicReader, furthest, read_topic
from stream.topics import Topics
from tests.integration.logs import wait_until

NOW = datetime.now(UTC)
POISON_EVERY = 50

StartWorker = Callable[..., "subprocess.Popen[str]"]
"""Starts a worker with a stub in the place of its classifier; its arguments are the stub worker's options."""


SLOW: dict[str, Any] = {"seconds_a_batch": 0.05, "stream": {"batch_documents": 64}}
"""Some 1,200 documents a second and worker, so that there is work left when something dies."""


def slow_for(seconds: float, documents: int, *, workers: int) -> dict[str, Any]:
    """Options of workers that need at least so long for all documents, as there must be some left at the last fault."""
    batch: int = SLOW["stream"]["batch_documents"]
    return SLOW | {"seconds_a_batch": max(SLOW["seconds_a_batch"], seconds * workers * batch / documents)}


def documents(count: int, *, text: str = "Shares of a lender fell") -> list[Document]:
    """Documents in event order over two hours; every third is a copy of the story before it."""
    return [
        Document(
            id=f"{place:032x}",
            text=f"{text} {place}",
            source="wire",
            source_kind="news",
            published_at=NOW - timedelta(hours=2) + timedelta(seconds=7000 * place / count),
            fetched_at=NOW,
            story=f"{place - (place % 3 == 2):032x}",
        )
        for place in range(count)
    ]


def publish(
    broker: BrokerSettings, topics: Topics, values: list[tuple[bytes, bytes]], *, compression: str | None = None
) -> None:
    producer = kafka.KafkaProducer(
        **broker.client_options(),
        acks="all",
        linger_ms=20,
        max_request_size=30_000_000,
        compression_type=compression,
    )
    for key, value in values:
        producer.send(topics.documents.name, key=key, value=value)
    producer.flush(60)
    producer.close()


def as_records(items: list[Document]) -> list[tuple[bytes, bytes]]:
    return [(item.story.encode(), encode(item)) for item in items]


def with_poison(records: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The records, and one that is no document behind every `POISON_EVERY`th, from the first on."""
    mixed: list[tuple[bytes, bytes]] = []
    for place, record in enumerate(records):
        mixed += [record, (b"k%d" % place, b"{")] if place % POISON_EVERY == 0 else [record]
    return mixed


def accounted(broker: BrokerSettings, topics: Topics) -> int:
    """How many documents `windows` accounts for so far."""
    with TopicReader(broker, topics.windows) as reader:
        return _accounted(furthest(reader.read(), {}))


def _accounted(checkpoints: Mapping[int, Checkpoint]) -> int:
    return sum(checkpoint.counted + checkpoint.late + checkpoint.dead for checkpoint in checkpoints.values())


def wait_for_documents(broker: BrokerSettings, topics: Topics, total: int, *, seconds: float) -> None:
    """Waits until `total` documents are accounted for; fails the test with how many were."""
    checkpoints: dict[int, Checkpoint] = {}
    with TopicReader(broker, topics.windows) as reader:

        def enough() -> bool:
            nonlocal checkpoints
            checkpoints = furthest(reader.read(), checkpoints)
            return _accounted(checkpoints) >= total

        try:
            wait_until(enough, seconds=seconds, what=f"{total} documents are accounted for")
        except AssertionError as error:
            raise AssertionError(f"{error}; {_accounted(checkpoints)} are") from None


def wait_until_it_holds(log: Path, *stages: str) -> None:
    """Waits until the worker that writes `log` has partitions of each stage: one without any is not missed."""

    def holds() -> bool:
        said = log.read_text()
        given = [re.findall(rf"assigned stage={stage} partitions=\[(.*)\]", said) for stage in stages]
        return all(found and found[-1] for found in given)

    wait_until(holds, seconds=60, what=f"{log.name} holds partitions")


def offline(broker: BrokerSettings, topics: Topics) -> dict[tuple[int, str], Bucket]:
    """What one undisturbed reading of `scored` counts."""
    settings = StreamSettings()
    counters: dict[int, PartitionCounter] = {}
    buckets = {}
    for record in read_topic(broker, topics.scored):
        counter = counters.setdefault(
            record.partition,
            PartitionCounter(
                record.partition, lateness=timedelta(minutes=settings.lateness_minutes), evidence=settings.evidence
            ),
        )
        counter.count(record.offset, msgspec.json.decode(record.value, type=ScoredDocument))
        for bucket in counter.changed():
            buckets[record.partition, bucket.key] = bucket
    return buckets


def counts(buckets: dict[tuple[int, str], Bucket]) -> dict[tuple[int, str], tuple[int, ...]]:
    return {
        key: (b.documents, b.negative, b.neutral, b.positive, b.stories, b.negative_stories)
        for key, b in buckets.items()
    }
