"""The topic is the memory: what a crawler published, the next one and the one beside it know."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaProducer

from ingest.memory import Memory
from ingest.publisher import Outcome, open_publisher
from ingest.recall import TopicReader
from ingest.settings import IngestSettings
from stream.broker import BrokerSettings
from stream.records import encode
from stream.topics import Topics
from tests.unit.ingest.documents import STORY, document

OLD = datetime(2019, 2, 1, tzinfo=UTC)


def eventually(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30.0
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in 30 s"
        time.sleep(0.05)


def publish(broker: BrokerSettings, topics: Topics, *texts: str) -> list[Outcome]:
    """As a process of its own would: a publisher that starts, publishes and ends."""
    with open_publisher(IngestSettings(), broker, topics) as publisher:
        return [publisher.publish(document(text)) for text in texts]


def test_a_crawl_after_a_crash_is_recognised(kafka: BrokerSettings, topics: Topics) -> None:
    texts = [f"Story number {number} of a busy day in the markets" for number in range(50)]
    assert publish(kafka, topics, *texts[:30]) == [Outcome.PUBLISHED] * 30
    assert publish(kafka, topics, *texts) == [Outcome.DUPLICATE] * 30 + [Outcome.PUBLISHED] * 20


def test_a_copy_finds_its_story_after_a_restart(kafka: BrokerSettings, topics: Topics) -> None:
    assert publish(kafka, topics, STORY) == [Outcome.PUBLISHED]
    assert publish(kafka, topics, f"{STORY} | Newswire") == [Outcome.COPY]
    assert publish(kafka, topics, f"UPDATE {STORY}") == [Outcome.COPY]


def test_old_event_times_are_remembered_too(kafka: BrokerSettings, topics: Topics) -> None:
    """An archive of 2019 was appended today: what counts is when it came."""
    row = document(published_at=OLD)
    with open_publisher(IngestSettings(), kafka, topics) as publisher:
        assert publisher.publish(row) is Outcome.PUBLISHED
    with open_publisher(IngestSettings(), kafka, topics) as publisher:
        assert publisher.publish(row) is Outcome.DUPLICATE
        assert publisher.publish(document(native_id="repeated in another year")) is Outcome.PUBLISHED


def test_a_crawler_learns_what_another_one_publishes(kafka: BrokerSettings, topics: Topics) -> None:
    with (
        open_publisher(IngestSettings(), kafka, topics) as one,
        open_publisher(IngestSettings(), kafka, topics) as other,
    ):
        one.publish(document())
        one.flush()
        eventually(lambda: other.knows(document().id))
        assert other.publish(document()) is Outcome.DUPLICATE
        assert other.publish(document(f"{STORY} | Newswire")) is Outcome.COPY


def test_only_what_was_appended_since_is_read(kafka: BrokerSettings, topics: Topics) -> None:
    publish(kafka, topics, STORY)
    memory = Memory(IngestSettings())
    with TopicReader(kafka, topics.documents, memory) as reader:
        assert reader.catch_up(since=(datetime.now(UTC) + timedelta(hours=1)).timestamp()) == 0
        assert reader.catch_up(since=(datetime.now(UTC) - timedelta(hours=1)).timestamp()) == 1
    assert memory.knows(document().id)


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"\xff", b'{"id":"x"}', encode(document()).replace(b'"id":"', b'"id":"zz')]
)
def test_a_record_that_is_no_document_does_no_harm(kafka: BrokerSettings, topics: Topics, value: bytes | None) -> None:
    send(kafka, topics, value)
    send(kafka, topics, encode(document()))
    memory = Memory(IngestSettings())
    with TopicReader(kafka, topics.documents, memory) as reader:
        assert reader.catch_up(since=0) == 2
    assert memory.knows(document().id)
    assert len(memory) == 1


def send(broker: BrokerSettings, topics: Topics, value: bytes | None) -> None:
    producer = KafkaProducer(**broker.client_options())
    producer.send(topics.documents.name, key=b"k", value=value).get(timeout=10)
    producer.close()
