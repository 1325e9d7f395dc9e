"""An archive through the publisher, at its own pace, faster, or as fast as it goes."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Literal

from ingest.entries import Rejected
from ingest.errors import InputError, RowError
from ingest.publisher import Outcome, Publisher
from ingest.settings import IngestSettings
from ingest.sources.archive import ArchiveOptions, ArchiveSource
from stream import metrics
from stream.records import Document

logger = logging.getLogger(__name__)

Speed = float | Literal["max"]

KEPT_REJECTIONS = 20
"""Enough to see what is wrong with an archive; all of them are in the log."""

PROGRESS_EVERY = 250


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What became of every row: `rows == rejected + published + unsent`."""

    rows: int
    rejected: int
    published: int
    """Rows that became documents; the duplicates among them were recognised and not sent again."""
    duplicates: int
    copies: int
    """Published documents that tell a story which was known."""
    unsent: int
    """Good rows that were not reached because the replay was stopped; otherwise 0."""
    rejections: tuple[Rejected, ...]
    """The first of them, with their places in the file."""
    seconds: float


def replay(
    path: Path,
    publisher: Publisher,
    settings: IngestSettings,
    *,
    speed: Speed = "max",
    options: ArchiveOptions | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    stop: Event | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
) -> ReplayResult:
    """Publishes the archive in event order and returns when the broker has acknowledged it all.

    `speed` is how many times faster than the archive's own dates it goes. `progress` gets the documents done and all of
    them. `stop` ends it early. Raises `InputError` where the file cannot be read as an archive, `BrokerError` where
    Kafka lost something: what it took is recognised by the next replay, where the archive fits `memory_documents`.
    """
    if speed != "max" and not 0 < speed < math.inf:
        raise InputError(f"speed is {speed}", fix="give a number above 0, or max")
    stop = stop or Event()
    started = monotonic()
    archive = ArchiveSource(path, settings, options, clock=clock)
    rejections = _Rejections(archive)
    documents = _read(archive, rejections)
    if len(documents) > settings.memory_documents:
        logger.warning(
            "the archive exceeds the memory: raise ingest.memory_documents, or repeated rows and a second replay are"
            " published again source=%s documents=%d memory_documents=%d",
            archive.name,
            len(documents),
            settings.memory_documents,
        )
    outcomes = dict.fromkeys(Outcome, 0)
    pace = _Pace(speed, stop, monotonic)
    for done, document in enumerate(documents):
        if done % PROGRESS_EVERY == 0:
            progress(done, len(documents))
        if not pace.reach(document.published_at):
            break
        try:
            outcomes[publisher.publish(document)] += 1
        except RowError as refused:
            rejections.add(Rejected.of(document, refused.message))
    publisher.flush()
    published = sum(outcomes.values())
    unsent = archive.rows - rejections.count - published
    progress(len(documents) - unsent, len(documents))
    return ReplayResult(
        rows=archive.rows,
        rejected=rejections.count,
        published=published,
        duplicates=outcomes[Outcome.DUPLICATE],
        copies=outcomes[Outcome.COPY],
        unsent=unsent,
        rejections=tuple(rejections.kept),
        seconds=monotonic() - started,
    )


class _Rejections:
    """Counts and tells what cannot be published, and keeps the first."""

    def __init__(self, archive: ArchiveSource) -> None:
        self._archive = archive
        self.count = 0
        self.kept: list[Rejected] = []

    def add(self, item: Rejected) -> None:
        self.count += 1
        metrics.REJECTED.labels(self._archive.kind).inc()
        logger.warning("row rejected source=%s where=%r reason=%r", self._archive.name, item.where, item.reason)
        if self.count <= KEPT_REJECTIONS:
            self.kept.append(item)


def _read(archive: ArchiveSource, rejections: _Rejections) -> list[Document]:
    documents: list[Document] = []
    for item in archive.read():
        if isinstance(item, Document):
            documents.append(item)
        else:
            rejections.add(item)
    return documents


class _Pace:
    """Waits until the replayed clock has come to a document's event time."""

    def __init__(self, speed: Speed, stop: Event, monotonic: Callable[[], float]) -> None:
        self._speed = speed
        self._stop = stop
        self._monotonic = monotonic
        self._origin: tuple[float, datetime] | None = None

    def reach(self, moment: datetime) -> bool:
        """False where the replay was stopped meanwhile."""
        if self._speed == "max":
            return not self._stop.is_set()
        if self._origin is None:
            self._origin = self._monotonic(), moment
        began, first = self._origin
        due = began + (moment - first).total_seconds() / self._speed
        return not self._stop.wait(max(0.0, due - self._monotonic()))
