"""What was published in the last days: ids and stories. Bounded, and shared by the threads of one process."""

from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from threading import Lock
from typing import NamedTuple

from ingest.duplicates import StoryIndex, signature
from ingest.settings import IngestSettings
from stream.records import Document


class _Remembered(NamedTuple):
    at: float
    """Seconds since the epoch; partitions are read back side by side, so that these come in no order."""
    number: int
    """Of the documents of one moment the first to come is the first to go."""
    id: bytes
    story: int | None
    """Its number in the index, where it stands for a story."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is needed of a document that the topic gives back."""

    id: str
    story: str
    title: str
    text: str
    published_at: datetime
    appended_at: datetime


class Memory:
    """Ids and story heads of the documents of the last `memory_hours`, at most `memory_documents`.

    It goes by the time at which documents were appended to the topic, so that an archive of old dates that is replayed
    twice is known the second time, if it has no more than `memory_documents`: of a longer one nothing is, since each
    document that is published again drops the next. Whether two documents tell one story goes by their event times.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._seconds = settings.memory_hours * 3600
        self._most = settings.memory_documents
        self._index = StoryIndex(threshold=settings.near_duplicate, seconds=self._seconds)
        self._heap: list[_Remembered] = []
        self._ids: set[bytes] = set()
        self._numbers = count()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._heap)

    def knows(self, document_id: str) -> bool:
        """Whether the document with this id was published."""
        return bytes.fromhex(document_id) in self._ids

    def admit(self, document: Document, now: datetime) -> str | None:
        """The story of a document that is about to be published, and remembers both; None where it is known."""
        with self._lock:
            self._expire(now.timestamp())
            key = bytes.fromhex(document.id)
            if key in self._ids:
                return None
            marks = signature(document.title, document.text)
            event = document.published_at.timestamp()
            story = self._index.find(marks, event)
            number = None if story or not marks.bands else self._index.add(marks, event, document.id)
            self._remember(now.timestamp(), key, number)
            return story or document.id

    def recall(self, document: Recalled) -> bool:
        """Takes a document that stands in the topic; False where it was known."""
        with self._lock:
            key = bytes.fromhex(document.id)
            if key in self._ids:
                return False
            number = None
            # The head of its story, or a copy whose head is older than the memory and stands for it now.
            if document.story == document.id or bytes.fromhex(document.story) not in self._ids:
                marks = signature(document.title, document.text)
                if marks.bands:
                    number = self._index.add(marks, document.published_at.timestamp(), document.story)
            self._remember(document.appended_at.timestamp(), key, number)
            return True

    def _remember(self, at: float, key: bytes, story: int | None) -> None:
        self._ids.add(key)
        heappush(self._heap, _Remembered(at, next(self._numbers), key, story))
        while len(self._heap) > self._most:
            self._forget()

    def _expire(self, now: float) -> None:
        while self._heap and self._heap[0].at < now - self._seconds:
            self._forget()

    def _forget(self) -> None:
        """Drops the document that was appended first."""
        oldest = heappop(self._heap)
        self._ids.discard(oldest.id)
        if oldest.story is not None:
            self._index.remove(oldest.story)
