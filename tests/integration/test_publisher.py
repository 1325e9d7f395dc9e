"""The publisher on a real Kafka: nothing is lost in silence, copies meet, a second replay finds everything known."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import kafka
import msgspec
import pytest

from deploy.local.kafka import EmbeddedKafka
from ingest.producer import KafkaDocuments, Producer
from ingest.publisher import Outcome, open_publisher
from ingest.replay import replay
from ingest.settings import IngestSettings
from stream.broker import BrokerSettings, ensure_topics
from stream.errors import BrokerError
from stream.records import Document
from stream.topics import Topics, TopicSettings
from tests.shared import shared
from tests.unit.ingest.documents import STORY, document
from tests.unit.ingest.producer_contract import ProducerContract


def read_all(broker: BrokerSettings, topics: Topics) -> list[Any]:
    """Every record of `documents`, partition by partition."""
    partitions = [kafka.TopicPartition(topics.documents.name, n) for n in range(topics.documents.partitions)]
    consumer = kafka.KafkaConsumer(**broker.client_options(), auto_offset_reset="earliest", enable_auto_commit=False)
    with contextlib.closing(consumer):
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                found.extend(records)
    return sorted(found, key=lambda record: (record.partition, record.offset))


def decoded(records: list[Any]) -> list[Document]:
    return [msgspec.json.decode(record.value, type=Document) for record in records]


class TestKafkaDocuments(ProducerContract):
    @pytest.fixture(autouse=True)
    def connected(self, kafka: BrokerSettings, topics: Topics) -> None:
        self.broker, self.topics = kafka, topics

    def make(self) -> Producer:
        return KafkaDocuments(self.broker, self.topics.documents)

    def records(self) -> list[tuple[bytes, bytes]]:
        return [(record.key, record.value) for record in read_all(self.broker, self.topics)]

    def test_a_record_that_the_broker_will_not_have_is_an_error(self) -> None:
        producer = self.make()
        with pytest.raises(BrokerError, match="MessageSizeTooLarge"):
            producer.send(b"k", b"x" * 20_000_000, lambda: None)
        with pytest.raises(BrokerError, match="MessageSizeTooLarge"):
            producer.flush()
        producer.close()

    def test_no_more_is_on_its_way_than_allowed(self) -> None:
        producer = KafkaDocuments(self.broker, self.topics.documents, in_flight_bytes=10_000)
        acknowledged: list[int] = []
        for number in range(100):
            producer.send(b"k", b"x" * 1000, lambda: acknowledged.append(1))
            assert number + 1 - len(acknowledged) <= 11
        producer.flush()
        assert len(acknowledged) == 100
        producer.close()


def test_no_broker_is_a_clear_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        servers = f"127.0.0.1:{unused.getsockname()[1]}"
    with (
        pytest.raises(BrokerError, match=f"no Kafka broker answers at {servers}") as caught,
        open_publisher(IngestSettings(), BrokerSettings(bootstrap_servers=servers), Topics(TopicSettings())),
    ):
        pass
    assert "finsentry doctor" in caught.value.fix


def test_documents_arrive_under_the_key_of_their_story(kafka: BrokerSettings, topics: Topics) -> None:
    copy = document(f"{STORY} | Newswire")
    with open_publisher(IngestSettings(), kafka, topics) as publisher:
        assert publisher.publish(document()) is Outcome.PUBLISHED
        assert publisher.publish(copy) is Outcome.COPY
        assert publisher.publish(copy) is Outcome.DUPLICATE
    records = read_all(kafka, topics)
    assert [record.key.decode() for record in records] == [document().id] * 2
    assert len({record.partition for record in records}) == 1
    assert [found.id for found in decoded(records)] == [document().id, copy.id]


def test_a_whole_archive_is_published_and_known_the_second_time(kafka: BrokerSettings, topics: Topics) -> None:
    path = shared("data/replay/guardian.csv")
    settings = IngestSettings()
    with open_publisher(settings, kafka, topics) as publisher:
        first = replay(path, publisher, settings)
    assert (first.rows, first.rejected, first.published, first.duplicates) == (17_800, 40, 17_760, 1)
    with open_publisher(settings, kafka, topics) as publisher:
        second = replay(path, publisher, settings)
    assert (second.published, second.duplicates) == (17_760, 17_760)
    found = decoded(read_all(kafka, topics))
    assert len(found) == len({item.id for item in found}) == 17_759
    assert sum(item.story != item.id for item in found) == first.copies


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A Kafka that the test may stop."""
    with EmbeddedKafka(tmp_path / "kafka") as server:
        yield server


def test_a_broker_that_goes_away_is_an_error_and_not_a_loss(own_kafka: EmbeddedKafka) -> None:
    """What was not acknowledged is reported; none of it was counted as published."""
    broker = own_kafka.settings.model_copy(update={"request_timeout_seconds": 3.0})
    topics = Topics(TopicSettings(prefix="gone."))
    ensure_topics(broker, topics.all())
    producer = KafkaDocuments(broker, topics.documents, delivery_seconds=10.0, close_seconds=1.0)
    safe, lost = Event(), Event()
    producer.send(b"k", b"v", safe.set)
    producer.flush()
    assert safe.is_set()
    own_kafka.stop()
    producer.send(b"k", b"w", lost.set)
    with pytest.raises(BrokerError, match="Kafka did not take a document"):
        producer.flush()
    with pytest.raises(BrokerError, match="Kafka did not take a document"):
        producer.send(b"k", b"x", lost.set)
    producer.close()
    assert not lost.is_set()
