"""Follows `scored` and puts it away in an archive folder: the shell around `stream.archive`.

What has been put away is said by the folder alone: a fresh one gets all that the topic has. It commits to a consumer
group of its own so that its lag is seen like any other's, and never reads where that group is.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from kafka.structs import OffsetAndMetadata

from stream.archive import Entry, Shelf, remove_unfinished, shelves, write_parts
from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.errors import FinSentryError, InputError
from stream.kafka_sync import answering, open_consumer, partitions_of
from stream.records import read_scored
from stream.topics import Topics

logger = logging.getLogger(__name__)

POLL_MS = 500


class Progress(NamedTuple):
    """What this run has done so far."""

    documents: int
    """Put away in files."""
    records: int
    """Read, repeats and dead ones included."""
    behind: int
    """Records that stood in the topic and were not read when it was last asked."""
    expired: int
    """Records that the topic kept no longer when this run came to them: the archive lacks them for good."""


class Archiver:
    """One run over every partition; a context manager. For one process a folder at a time: hold a lock.

    Raises `BrokerError` where Kafka cannot be reached or stops answering, `InputError` where there is no such topic or
    the folder is no archive of it.
    """

    def __init__(self, broker: BrokerSettings, topics: Topics, folder: Path, *, rows: int) -> None:
        """`rows`: documents that are held in memory before they are written, over all partitions."""
        self._broker = broker
        self._topic = topics.scored
        self._folder = folder
        self._rows = rows
        self._shelves = shelves(folder)
        remove_unfinished(folder)
        self._pending: dict[int, list[Entry]] = {}
        self._read: dict[int, int] = {}
        """By partition: the next offset that was not read yet."""
        self._documents = self._records = self._expired = 0
        self._places: list[Any] = []
        self._consumer = open_consumer(
            broker, group_id=topics.group("archive"), client_id="finsentry-archive", max_poll_records=5000
        )

    def run(
        self,
        *,
        follow: bool,
        every_seconds: float,
        stopped: Callable[[], bool],
        told: Callable[[Progress], object] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Progress:
        """Puts away what stands in the topic, or with `follow` what comes until `stopped`; then all that it holds.

        Writes when `rows` documents wait or `every_seconds` have passed. Calls `told` after each write.
        """
        self._begin()
        ends = self._ends()
        written = moved = monotonic()
        while not stopped():
            before = self._records
            self._take()
            now = monotonic()
            behind = self._behind(ends)
            if self._records > before:
                moved = now
            if not behind:
                if not follow:
                    break
                ends = self._ends()
                moved = now
            elif now - moved > STALLED_SECONDS:
                raise silent(
                    self._broker,
                    fix="check that it runs; what was put away is safe, start again and it goes on from there",
                )
            if sum(map(len, self._pending.values())) >= self._rows or now - written >= every_seconds:
                self._put_away()
                written = monotonic()
                told(self._progress(ends))
        self._put_away()
        return self._progress(ends)

    def _begin(self) -> None:
        self._places = partitions_of(self._consumer, self._broker, self._topic)
        self._consumer.assign(self._places)
        with answering(self._broker):
            oldest = self._consumer.beginning_offsets(self._places)
        ends = self._ends()
        for place in self._places:
            shelf = self._shelves.get(place.partition)
            if shelf is None:
                shelf = Shelf(oldest[place], -1)
            elif shelf.position > ends[place]:
                raise self._made_anew(place.partition, shelf.position, f"ends at {ends[place]}")
            if shelf.position < oldest[place]:
                self._note_expired(place.partition, shelf.position, oldest[place])
                shelf = shelf._replace(position=oldest[place])
            self._shelves[place.partition] = shelf
            self._read[place.partition] = shelf.position
            self._consumer.seek(place, shelf.position)

    def _ends(self) -> dict[Any, int]:
        with answering(self._broker):
            ends: dict[Any, int] = self._consumer.end_offsets(self._places)
            return ends

    def _take(self) -> None:
        with answering(self._broker):
            polled = self._consumer.poll(POLL_MS)
        for place, records in polled.items():
            if records[0].offset < self._read[place.partition]:
                # A consumer whose place is gone begins at the oldest record without a word. What waits no log has now.
                self._put_away()
                raise self._made_anew(place.partition, self._read[place.partition], f"goes on at {records[0].offset}")
            pending = self._pending.setdefault(place.partition, [])
            for record in records:
                pending.append(_entry(record))
            self._note_expired(place.partition, self._read[place.partition], records[0].offset)
            self._records += len(records)
            self._read[place.partition] = records[-1].offset + 1

    def _put_away(self) -> None:
        moved = {}
        for place in self._places:
            number, position = place.partition, self._read[place.partition]
            shelf = self._shelves[number]
            if position == shelf.position:
                continue
            entries = self._pending.pop(number, [])
            try:
                self._shelves[number], documents = write_parts(self._folder, number, entries, shelf, position)
            except OSError as error:
                raise FinSentryError(
                    f"{self._folder}: cannot be written: {error.strerror or error}",
                    fix="make room or mend its permissions; start again and it goes on from there",
                ) from error
            self._documents += documents
            moved[place] = OffsetAndMetadata(position, "", -1)
        if moved:
            with answering(self._broker):
                self._consumer.commit(moved)

    def _made_anew(self, partition: int, position: int, found: str) -> InputError:
        return InputError(
            f"{self._folder} holds partition {partition} up to offset {position - 1}, but the topic"
            f" {self._topic.name} {found}: it was made anew",
            fix="archive it into another folder",
        )

    def _note_expired(self, partition: int, expected: int, found: int) -> None:
        if found > expected:
            self._expired += found - expected
            logger.warning(
                "records have expired before they were archived partition=%d records=%d", partition, found - expected
            )

    def _progress(self, ends: dict[Any, int]) -> Progress:
        return Progress(self._documents, self._records, self._behind(ends), self._expired)

    def _behind(self, ends: dict[Any, int]) -> int:
        return sum(max(0, ends[place] - self._read[place.partition]) for place in self._places)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def _entry(record: Any) -> Entry:
    appended = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return Entry(record.partition, record.offset, appended, read_scored(record))
