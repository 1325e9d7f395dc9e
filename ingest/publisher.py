"""The last step of ingest: a document is masked, recognised or given its story, and published."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from threading import Lock

from msgspec.structs import replace

from ingest.errors import RowError
from ingest.memory import Memory
from ingest.privacy import mask
from ingest.producer import AROUND_BYTES, KafkaDocuments, Producer
from ingest.recall import TopicReader
from ingest.settings import IngestSettings
from stream import metrics
from stream.broker import BrokerSettings, ensure_topics
from stream.records import Document, encode
from stream.topics import Topics


class Outcome(Enum):
    """What became of a document."""

    PUBLISHED = "published"
    COPY = "copy"
    """Published, with the key of a story that is already known."""
    DUPLICATE = "duplicate"
    """Known by its id: not sent."""


class Publisher:
    """Publishes each document once. Safe for several threads; documents are appended in the order of the calls.

    After a `BrokerError` it publishes nothing more: the process ends, and what the broker took is read back by the
    next one.
    """

    def __init__(
        self,
        producer: Producer,
        memory: Memory,
        *,
        clock: Callable[[], datetime],
        phone_regions: Sequence[str] = (),
        max_document_bytes: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`max_document_bytes`: what the topic takes.

        `check` raises what went wrong beside the publisher: a memory that is no longer fed must not be trusted.
        """
        self._producer = producer
        self._memory = memory
        self._clock = clock
        self._phone_regions = phone_regions
        self._max_bytes = max_document_bytes
        self._check = check
        self._lock = Lock()

    def knows(self, document_id: str) -> bool:
        """Whether a document with this id was published, so that a source need not fetch its page."""
        return self._memory.knows(document_id)

    def publish(self, document: Document) -> Outcome:
        """Sends the document unless it is known.

        Raises `RowError` where it is larger than the topic takes, `BrokerError` where this or an earlier one was lost.
        """
        self._check()
        document = self._presentable(document)
        record = encode(document)
        if self._max_bytes is not None and len(record) + AROUND_BYTES > self._max_bytes:
            # Not left to the broker: what it refuses would be remembered as published, and its copies as copies.
            raise RowError(
                f"the document has {len(record):,} bytes; the limit is {self._max_bytes:,} (topics.max_document_bytes)"
            )
        with self._lock:
            story = self._memory.admit(document, self._clock())
            if story is None:
                metrics.DUPLICATES.labels(document.source_kind).inc()
                return Outcome.DUPLICATE
            if story != document.story:
                record = encode(replace(document, story=story))
            self._producer.send(story.encode(), record, metrics.PUBLISHED.labels(document.source_kind).inc)
        if story == document.id:
            return Outcome.PUBLISHED
        metrics.COPIES.labels(document.source_kind).inc()
        return Outcome.COPY

    def flush(self) -> None:
        """Returns when everything published is acknowledged. Raises `BrokerError` where it never will be."""
        self._producer.flush()

    def _presentable(self, document: Document) -> Document:
        published_at = min(document.published_at, document.fetched_at)
        if document.source_kind != "social":
            return document if published_at == document.published_at else replace(document, published_at=published_at)
        return replace(
            document,
            published_at=published_at,
            title=mask(document.title, phone_regions=self._phone_regions),
            text=mask(document.text, phone_regions=self._phone_regions),
        )


@contextmanager
def open_publisher(
    settings: IngestSettings,
    broker: BrokerSettings,
    topics: Topics,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Publisher]:
    """A publisher that remembers what `documents` holds, and follows it; flushed and closed at the end.

    Raises `BrokerError` where Kafka cannot be reached or refuses, `TopicMismatchError` where the topic is not as asked.
    """
    ensure_topics(broker, (topics.documents,))
    memory = Memory(settings)
    with TopicReader(broker, topics.documents, memory) as reader:
        reader.catch_up(since=clock().timestamp() - settings.memory_hours * 3600)
        reader.start()
        producer = KafkaDocuments(broker, topics.documents)
        try:
            yield Publisher(
                producer,
                memory,
                clock=clock,
                phone_regions=settings.phone_regions,
                max_document_bytes=topics.max_document_bytes,
                check=reader.check,
            )
            producer.flush()
        finally:
            producer.close()
