"""Reads `documents` back into the memory: the last days at start, then what other crawlers append."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import kafka
import msgspec

from ingest.memory import Memory, Recalled
from stream import metrics
from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.errors import BrokerError
from stream.kafka_sync import answering, open_consumer
from stream.topics import Topic

logger = logging.getLogger(__name__)

POLL_MS = 500
FETCH_BYTES = 4 * 1024 * 1024


class _Stored(msgspec.Struct, gc=False):
    """The part of a document that the memory needs; the rest is skipped while decoding."""

    id: str
    story: str
    text: str
    published_at: datetime
    title: str = ""


class TopicReader:
    """Feeds a memory from one topic, over all its partitions, with no consumer group.

    `catch_up` first, then `start`; a context manager that stops the thread and closes the consumer. The constructor
    raises `BrokerError` where no broker answers.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        topic: Topic,
        memory: Memory,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._topic = topic.name
        self._memory = memory
        self._monotonic = monotonic
        self._decoder = msgspec.json.Decoder(_Stored)
        self._stop = Event()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._follow, name="memory", daemon=True)
        self._consumer = open_consumer(
            broker,
            client_id="finsentry-memory",
            max_poll_records=2000,
            max_partition_fetch_bytes=FETCH_BYTES,
            metrics_enabled=False,
        )
        self._partitions = [kafka.TopicPartition(self._topic, number) for number in range(topic.partitions)]

    def catch_up(self, since: float) -> int:
        """Recalls what was appended from `since` (seconds since the epoch) to now; returns how many documents.

        Raises `BrokerError` where the broker stops answering.
        """
        with answering(self._broker):
            self._consumer.assign(self._partitions)
            found = self._consumer.offsets_for_times(dict.fromkeys(self._partitions, int(since * 1000)))
            ends = self._consumer.end_offsets(self._partitions)
            for partition in self._partitions:
                first = found.get(partition)
                self._consumer.seek(partition, first.offset if first else ends[partition])
            recalled = self._read_to(ends)
        logger.info("memory read topic=%s documents=%d", self._topic, recalled)
        return recalled

    def start(self) -> None:
        """Goes on reading in a thread of its own."""
        self._thread.start()

    def check(self) -> None:
        """Raises `BrokerError` where the thread has ended, so that the memory misses what others publish."""
        if self._failure is not None:
            raise BrokerError(f"{self._topic} can no longer be read back: {self._failure}") from self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._consumer.close()

    def _read_to(self, ends: dict[Any, int]) -> int:
        recalled, moved = 0, self._monotonic()
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            count = self._poll()
            recalled += count
            if count:
                moved = self._monotonic()
            elif self._monotonic() - moved > STALLED_SECONDS:
                raise silent(
                    self._broker, fix=f"{self._topic} is read to its end before anything is crawled; is it overloaded?"
                )
        return recalled

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                self._poll()
        except Exception as error:
            logger.exception("the topic can no longer be read back topic=%s", self._topic)
            self._failure = error

    def _poll(self) -> int:
        """Number of records read."""
        read = 0
        for records in self._consumer.poll(timeout_ms=POLL_MS).values():
            read += len(records)
            for record in records:
                self._recall(record)
        return read

    def _recall(self, record: Any) -> None:
        try:
            stored = self._decoder.decode(record.value or b"")
            appended = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            self._memory.recall(
                Recalled(stored.id, stored.story, stored.title, stored.text, stored.published_at, appended)
            )
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            # Scoring will write a dead letter; to the memory it is no document.
            metrics.STAGE_ERRORS.labels("memory", type(error).__name__).inc()
            logger.warning(
                "document passed over topic=%s partition=%d offset=%d error=%s",
                record.topic,
                record.partition,
                record.offset,
                type(error).__name__,
            )
