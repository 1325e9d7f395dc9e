"""Documents and a producer for the tests of ingest."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from ingest.identity import document_id
from stream.errors import BrokerError
from stream.records import Document, SourceKind

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)

STORY = "Regulators shut Aldmere Savings Bank after a run on deposits"


def document(
    text: str = STORY,
    *,
    native_id: str = "",
    kind: SourceKind = "news",
    published_at: datetime = NOW,
    fetched_at: datetime = NOW,
    title: str = "",
) -> Document:
    """A document as a source makes it: the head of its own story."""
    key = document_id("wire", native_id=native_id, content=text)
    return Document(
        id=key,
        story=key,
        title=title,
        text=text,
        source="wire",
        source_kind=kind,
        published_at=published_at,
        fetched_at=fetched_at,
    )


class InMemoryProducer:
    """A `Producer` over a list. Acknowledges at `flush`, or at once; `fail` loses what is not acknowledged."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.flushes = 0
        self._at_once = at_once
        self._waiting: list[tuple[bytes, bytes, Callable[[], None]]] = []
        self._failure = ""

    def fail(self, reason: str = "the broker is gone") -> None:
        self._failure = reason

    def send(self, key: bytes, value: bytes, acknowledged: Callable[[], None]) -> None:
        self._check()
        self._waiting.append((key, value, acknowledged))
        if self._at_once:
            self._settle()

    def flush(self) -> None:
        self.flushes += 1
        self._check()
        self._settle()

    def close(self) -> None:
        self._failure = "closed"

    def documents(self) -> list[Document]:
        """What was acknowledged, in order."""
        return [msgspec.json.decode(value, type=Document) for _, value in self.records]

    def _settle(self) -> None:
        for key, value, acknowledged in self._waiting:
            self.records.append((key, value))
            acknowledged()
        self._waiting.clear()

    def _check(self) -> None:
        if self._failure:
            raise BrokerError(self._failure)
