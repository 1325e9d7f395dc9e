"""What is sent, what is recognised, and what is masked."""

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from threading import Thread

import pytest
from prometheus_client import REGISTRY

from ingest.errors import RowError
from ingest.memory import Memory
from ingest.producer import AROUND_BYTES
from ingest.publisher import Outcome, Publisher
from ingest.settings import IngestSettings
from stream.errors import BrokerError
from stream.records import encode
from tests.unit.ingest.documents import NOW, STORY, InMemoryProducer, document


def publisher(producer: InMemoryProducer) -> Publisher:
    return Publisher(producer, Memory(IngestSettings()), clock=lambda: NOW, phone_regions=("US", "GB"))


def test_a_document_is_sent_once() -> None:
    producer = InMemoryProducer()
    publish = publisher(producer).publish
    assert [publish(document()), publish(document())] == [Outcome.PUBLISHED, Outcome.DUPLICATE]
    assert producer.documents() == [document()]


def test_a_copy_carries_the_story_and_the_key_of_the_first() -> None:
    producer = InMemoryProducer()
    publish = publisher(producer).publish
    copy = document(f"{STORY} | Newswire")
    assert [publish(document()), publish(copy)] == [Outcome.PUBLISHED, Outcome.COPY]
    first, second = producer.documents()
    assert (second.id, second.story) == (copy.id, first.id)
    assert [key for key, _ in producer.records] == [first.id.encode()] * 2


def test_event_time_is_never_after_the_fetch() -> None:
    producer = InMemoryProducer()
    publisher(producer).publish(document(published_at=NOW + timedelta(hours=2)))
    assert producer.documents()[0].published_at == NOW


def test_social_text_is_masked_and_news_is_not() -> None:
    producer = InMemoryProducer()
    publish = publisher(producer).publish
    text = "@jane says: mail a@bank.example or call +44 7911 123456 about $AAPL"
    publish(document(text, kind="social", title="@jane"))
    publish(document(f"{text} now", kind="news", title="@jane"))
    social, news = producer.documents()
    assert social.text == "@user says: mail [email] or call [phone] about $AAPL"
    assert social.title == "@user"
    assert (news.text, news.title) == (f"{text} now", "@jane")


def test_a_document_that_the_topic_cannot_take_is_refused_and_leaves_no_trace() -> None:
    producer = InMemoryProducer()
    publish = Publisher(producer, Memory(IngestSettings()), clock=lambda: NOW, max_document_bytes=100_000).publish
    with pytest.raises(RowError, match=r"the document has 200,\d\d\d bytes; the limit is 100,000") as caught:
        publish(document(f"{STORY} {'x' * 200_000}"))
    assert "topics.max_document_bytes" in caught.value.message
    assert [publish(document()), publish(document(f"{STORY} {'x' * 99_000}"))] == [Outcome.PUBLISHED, Outcome.COPY]
    assert [sent.story for sent in producer.documents()] == [document().id] * 2


def test_what_the_broker_adds_to_a_document_counts_too() -> None:
    record = len(encode(document()))
    for room, sent in ((AROUND_BYTES, True), (AROUND_BYTES - 1, False)):
        producer = InMemoryProducer()
        tight = Publisher(producer, Memory(IngestSettings()), clock=lambda: NOW, max_document_bytes=record + room)
        expected: AbstractContextManager[object] = nullcontext() if sent else pytest.raises(RowError)
        with expected:
            tight.publish(document())
        assert bool(producer.records) is sent


def test_a_lost_document_stops_the_publisher() -> None:
    producer = InMemoryProducer(at_once=False)
    publish = publisher(producer)
    publish.publish(document())
    producer.fail("Kafka lost it")
    with pytest.raises(BrokerError, match="Kafka lost it"):
        publish.publish(document("Another story of quite another bank"))
    with pytest.raises(BrokerError, match="Kafka lost it"):
        publish.flush()


def test_a_memory_that_is_no_longer_fed_stops_the_publisher() -> None:
    def check() -> None:
        raise BrokerError("cannot be read back")

    producer = InMemoryProducer()
    stopped = Publisher(producer, Memory(IngestSettings()), clock=lambda: NOW, check=check)
    with pytest.raises(BrokerError, match="read back"):
        stopped.publish(document())
    assert producer.records == []


def test_documents_count_as_published_once_they_are_acknowledged() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("finsentry_documents_published_total", {"source_kind": "filing"}) or 0.0

    producer = InMemoryProducer(at_once=False)
    publish = publisher(producer)
    before = counted()
    publish.publish(document(kind="filing"))
    assert counted() == before
    publish.flush()
    assert counted() == before + 1


def test_threads_publish_each_document_once() -> None:
    producer = InMemoryProducer()
    publish = publisher(producer).publish
    texts = [f"Story number {number} of a busy day in the markets" for number in range(50)]
    threads = [Thread(target=lambda: [publish(document(text)) for text in texts]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sent.text for sent in producer.documents()) == sorted(texts)
