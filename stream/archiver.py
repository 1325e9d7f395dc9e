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

from kafka.errors import GroupAuthorizationFailedError, SaslAuthenticationFailedError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata

from stream import metrics
from stream.archive import Entry, Shelf, remove_unfinished, shelves, write_parts
from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.errors import BrokerError, FinSentryError, InputError
from stream.kafka_sync import answering, open_consumer, partitions_of
from stream.records import read_scored
from stream.topics import Topics

logger = logging.getLogger(__name__)

STAGE = "archive"

POLL_MS = 500

REFUSALS = (GroupAuthorizationFailedError, SaslAuthenticationFailedError, TopicAuthorizationFailedError)

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Between two tries to reach a lost broker; each looks for it for `kafka_sync.BOOTSTRAP_MS` besides."""


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


class Outage:
    """Says once that the broker is away and once that it is back, however often it was looked for in between."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since = 0.0
        self._failures = 0

    def failed(self, error: BrokerError) -> float:
        """Seconds until the next try."""
        cause = type(error.__cause__ or error).__name__
        metrics.STAGE_ERRORS.labels(STAGE, cause).inc()
        if self._failures == 0:
            self._since = self._monotonic()
            # One that is gone fails in several ways, as it goes and as it is looked for: the metric has them all.
            logger.warning("the broker is away and is waited for, what was read is written error=%s", error.message)
        wait = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        return wait

    def over(self) -> None:
        """To be called whenever the broker has given all that it has, or some of it."""
        if self._failures:
            logger.info("the broker is back after=%.0fs tries=%d", self._monotonic() - self._since, self._failures)
            self._failures = 0


class Archiver:
    """One run over every partition; a context manager. For one process a folder at a time: hold a lock.

    Raises `BrokerError` where Kafka cannot be reached or stops answering, `InputError` where there is no such topic or
    the folder is no archive of it.
    """

    def __init__(self, broker: BrokerSettings, topics: Topics, folder: Path, *, rows: int) -> None:
        """`rows`: documents that are held in memory before they are written, over all partitions."""
        self._broker = broker
        self._topic = topics.scored
        self._group = topics.group("archive")
        self._folder = folder
        self._rows = rows
        self._answer_ms = int(1000 * broker.request_timeout_seconds)
        self._shelves = shelves(folder)
        """Kept when the broker is lost, too: a stretch without documents, or one that expired, no file tells of."""
        remove_unfinished(folder)
        self._pending: dict[int, list[Entry]] = {}
        self._read: dict[int, int] = {}
        """By partition: the next offset that was not read yet."""
        self._committed: dict[int, int] = {}
        self._ends: dict[Any, int] = {}
        """Where each partition ended when the broker was last asked."""
        self._documents = self._records = self._expired = 0
        self._consumer: Any = self._open()
        """None while the broker is away."""
        self._places: list[Any] = []

    def run(
        self,
        *,
        follow: bool,
        every_seconds: float,
        stopped: Callable[[], bool],
        told: Callable[[Progress], object] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> Progress:
        """Puts away what stands in the topic, or with `follow` what comes until `stopped`; then all that it holds.

        Writes when `rows` documents wait or `every_seconds` have passed, and then calls `told`; in an outage and at the
        end it writes what it has. With `follow` a broker that answered at the start and is lost is waited for, with
        fresh clients each time; one that answers, and refuses, is an error. `wait` takes seconds, and may return early
        once it is `stopped`.
        """
        self._begin()
        outage = Outage(monotonic)
        metrics.HEARTBEAT.labels(STAGE).set_to_current_time()  # one that never comes round must be missed too
        written = moved = monotonic()
        while not stopped():
            try:
                if self._consumer is None:
                    self._consumer = self._open()
                    self._begin()
                taken, behind, now = self._take(), self._behind(), monotonic()
                if taken or not behind:
                    moved = now
                    outage.over()
                    metrics.HEARTBEAT.labels(STAGE).set_to_current_time()
                if not behind:
                    if not follow:
                        break
                    self._ask_ends()
                elif now - moved > STALLED_SECONDS:
                    raise silent(
                        self._broker,
                        fix="check that it runs; what was put away is safe, start again and it goes on from there",
                    )
                if sum(map(len, self._pending.values())) >= self._rows or now - written >= every_seconds:
                    self._write()
                    self._commit()
                    written = monotonic()
                    told(self._progress())
            except BrokerError as error:
                if not follow or _refused(error):
                    raise
                self._write()  # the outage may last for days, and this be killed in it
                self._close()
                wait(outage.failed(error))
                written = moved = monotonic()
        self._write()
        try:
            self._commit()
        except BrokerError as error:
            if not follow:
                raise
            # The files say where to go on: what is told to stop stops.
            logger.warning("the group was not told where the files end error=%s", error.message)
        return self._progress()

    def _open(self) -> Any:
        return open_consumer(self._broker, group_id=self._group, client_id="finsentry-archive", max_poll_records=5000)

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _begin(self) -> None:
        """Goes to where the files end. Nothing that was read may wait for being written."""
        if not self._places:  # a broker that has only come back may not show all of them at once
            self._places = partitions_of(self._consumer, self._broker, self._topic)
        self._consumer.assign(self._places)
        with answering(self._broker):
            oldest = self._consumer.beginning_offsets(self._places, timeout_ms=self._answer_ms)
        self._ask_ends()
        for place in self._places:
            shelf = self._shelves.get(place.partition)
            if shelf is None:
                shelf = Shelf(oldest[place], -1)
            elif shelf.position > self._ends[place]:
                raise self._made_anew(place.partition, shelf.position, f"ends at {self._ends[place]}")
            if shelf.position < oldest[place]:
                self._note_expired(place.partition, shelf.position, oldest[place])
                shelf = shelf._replace(position=oldest[place])
            self._shelves[place.partition] = shelf
            self._read[place.partition] = shelf.position
            self._consumer.seek(place, shelf.position)

    def _ask_ends(self) -> None:
        with answering(self._broker):
            self._ends = self._consumer.end_offsets(self._places, timeout_ms=self._answer_ms)

    def _take(self) -> int:
        """Reads what there is, and returns how many records."""
        with answering(self._broker):
            polled = self._consumer.poll(POLL_MS)
        for place, records in polled.items():
            if records[0].offset < self._read[place.partition]:
                # A consumer whose place is gone begins at the oldest record without a word. What waits no log has now.
                self._write()
                raise self._made_anew(place.partition, self._read[place.partition], f"goes on at {records[0].offset}")
            pending = self._pending.setdefault(place.partition, [])
            for record in records:
                pending.append(_entry(record))
            self._note_expired(place.partition, self._read[place.partition], records[0].offset)
            self._records += len(records)
            self._read[place.partition] = records[-1].offset + 1
        return sum(map(len, polled.values()))

    def _write(self) -> None:
        """Puts away what was read; needs no broker."""
        for place in self._places:
            number, position = place.partition, self._read[place.partition]
            shelf = self._shelves[number]
            if position == shelf.position:
                continue
            entries = self._pending.pop(number, [])
            try:
                self._shelves[number], documents, files = write_parts(self._folder, number, entries, shelf, position)
            except OSError as error:
                raise FinSentryError(
                    f"{self._folder}: cannot be written: {error.strerror or error}",
                    fix="make room or mend its permissions; start again and it goes on from there",
                ) from error
            self._documents += documents
            metrics.ARCHIVED.inc(documents)
            metrics.ARCHIVE_FILES.inc(files)
            if files:
                metrics.ARCHIVE_WRITTEN.set_to_current_time()

    def _commit(self) -> None:
        """Tells the group where the files end; nothing while the broker is away."""
        at = {place: self._shelves[place.partition].position for place in self._places}
        moved = {place: position for place, position in at.items() if self._committed.get(place.partition) != position}
        if moved and self._consumer is not None:
            with answering(self._broker):
                offsets = {place: OffsetAndMetadata(position, "", -1) for place, position in moved.items()}
                self._consumer.commit(offsets, timeout_ms=self._answer_ms)
            self._committed |= {place.partition: position for place, position in moved.items()}

    def _made_anew(self, partition: int, position: int, found: str) -> InputError:
        return InputError(
            f"{self._folder} holds partition {partition} up to offset {position - 1}, but the topic"
            f" {self._topic.name} {found}: it was made anew",
            fix="archive it into another folder",
        )

    def _note_expired(self, partition: int, expected: int, found: int) -> None:
        if found > expected:
            self._expired += found - expected
            metrics.EXPIRED.labels(STAGE).inc(found - expected)
            logger.warning(
                "records have expired before they were archived partition=%d records=%d", partition, found - expected
            )

    def _progress(self) -> Progress:
        return Progress(self._documents, self._records, self._behind(), self._expired)

    def _behind(self) -> int:
        """How many records are not read yet, of those that stood there when the broker was last asked; shows it."""
        left = {place.partition: max(0, self._ends[place] - self._read[place.partition]) for place in self._places}
        for partition, records in left.items():
            metrics.LAG.labels(STAGE, str(partition)).set(records)
        return sum(left.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def _refused(error: BrokerError) -> bool:
    """Whether a broker that is there has said no: waiting mends neither rights nor a password."""
    return isinstance(error.__cause__, REFUSALS)


def _entry(record: Any) -> Entry:
    appended = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return Entry(record.partition, record.offset, appended, read_scored(record))
