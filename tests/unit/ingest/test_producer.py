"""The in-memory producer of the tests keeps the promises of the real one, which is asked for what the topic takes."""

from typing import Any

import kafka
import pytest

from ingest.producer import BATCH_BYTES, KafkaDocuments, Producer
from stream.broker import BrokerSettings
from stream.topics import Topics, TopicSettings
from tests.unit.ingest.documents import InMemoryProducer
from tests.unit.ingest.producer_contract import ProducerContract


class TestInMemoryProducer(ProducerContract):
    @pytest.fixture(autouse=True)
    def made(self) -> None:
        self.producers: list[InMemoryProducer] = []

    def make(self) -> Producer:
        self.producers.append(InMemoryProducer(at_once=False))
        return self.producers[-1]

    def records(self) -> list[tuple[bytes, bytes]]:
        return [record for producer in self.producers for record in producer.records]


@pytest.mark.parametrize(("limit", "batch"), [(100_000, 100_000), (12_000_000, BATCH_BYTES)])
def test_no_batch_is_larger_than_the_topic_takes(monkeypatch: pytest.MonkeyPatch, limit: int, batch: int) -> None:
    made: dict[str, Any] = {}
    monkeypatch.setattr(kafka, "KafkaProducer", lambda **options: made.update(options))
    documents = Topics(TopicSettings(max_document_bytes=limit)).documents
    KafkaDocuments(BrokerSettings(bootstrap_servers="broker-1:9092"), documents)
    assert (made["batch_size"], made["max_request_size"]) == (batch, limit)
