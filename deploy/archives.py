"""An archive as the stream would have received it, without a broker."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from ingest.entries import Rejected
from ingest.memory import Memory
from ingest.publisher import Publisher
from ingest.settings import IngestSettings
from ingest.sources.archive import ArchiveSource
from stream.records import Document

_documents = msgspec.json.Decoder(Document)


class _Kept:
    """A `Producer` that keeps what the broker would have got."""

    def __init__(self) -> None:
        self.documents: list[Document] = []

    def send(self, _key: bytes, value: bytes, acknowledged: Callable[[], None]) -> None:
        self.documents.append(_documents.decode(value))
        acknowledged()

    def flush(self) -> None:
        """Everything is kept at once."""

    def close(self) -> None:
        """There is nothing to let go of."""


def published_documents(archive: ArchiveSource, settings: IngestSettings) -> tuple[list[Document], list[Rejected]]:
    """What a replay into empty topics would publish, in its order, each once and with its story; and the bad rows."""
    kept = _Kept()
    publisher = Publisher(kept, Memory(settings), clock=lambda: datetime.now(UTC), phone_regions=settings.phone_regions)
    rejected: list[Rejected] = []
    for item in archive.read():
        if isinstance(item, Rejected):
            rejected.append(item)
        else:
            publisher.publish(item)
    return kept.documents, rejected
