"""What stands in a topic at this moment, for commands and tests that look and do not follow."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import kafka.errors

from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.errors import BrokerError
from stream.kafka_sync import answering, open_consumer, partitions_of
from stream.records import Checkpoint
from stream.topics import Topic
from stream.windows_log import decode_window

LARGEST_FETCH_BYTES = 50_000_000

POLL_MS = 100
ENDS_MS = 2000
"""How long an answer is waited for before `stopped` is asked once more."""


class TopicReader:
    """Reads a topic from its start; each `read` gives what has come since the one before. A context manager.

    Raises `InputError` where there is no such topic, `BrokerError` where Kafka cannot be reached, or gives nothing for
    `STALLED_SECONDS`; `read` may be called again then, and goes on from where it was.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        topic: Topic,
        *,
        since: Mapping[int, int] | None = None,
        stopped: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stopped` ends a `read` early: it is asked every other second.

        `since`: milliseconds since the epoch, by partition; these alone are read, as far as the topic has them, each
        from its first record that is not older.
        """
        self._broker = broker
        self._stopped = stopped
        self._monotonic = monotonic
        self._consumer = open_consumer(broker, max_partition_fetch_bytes=LARGEST_FETCH_BYTES, fetch_max_wait_ms=100)
        try:
            every = partitions_of(self._consumer, broker, topic, monotonic=monotonic)
            self._places = [place for place in every if since is None or place.partition in since]
            self._consumer.assign(self._places)
            if since is None:
                self._consumer.seek_to_beginning()
            else:
                self._seek(since)
        except BaseException:
            self.close()
            raise

    def read(self) -> Iterator[Any]:
        """Every new record (kafka-python's) that stands there when this is called, in order within each partition."""
        with answering(self._broker):
            ends = self._ends()
            left, moved = self._left(ends), self._monotonic()
            while left and not self._stopped():
                for records in self._consumer.poll(POLL_MS).values():
                    yield from records
                before, left = left, self._left(ends)
                if left < before:
                    moved = self._monotonic()
                elif self._monotonic() - moved > STALLED_SECONDS:
                    raise self._stalled()

    def _seek(self, since: Mapping[int, int]) -> None:
        with answering(self._broker):
            found = self._consumer.offsets_for_times({place: since[place.partition] for place in self._places})
            ends = self._consumer.end_offsets(self._places)
        for place in self._places:
            self._consumer.seek(place, found[place].offset if found[place] else ends[place])

    def _ends(self) -> dict[Any, int]:
        """Where the partitions end now; empty where `stopped` said so before there was an answer."""
        asked = self._monotonic()
        while not self._stopped():
            try:
                ends: dict[Any, int] = self._consumer.end_offsets(self._places, timeout_ms=ENDS_MS)
                return ends
            except kafka.errors.KafkaTimeoutError:
                if self._monotonic() - asked > STALLED_SECONDS:
                    raise self._stalled() from None
        return {}

    def _left(self, ends: dict[Any, int]) -> int:
        """Offsets from here to the ends. Compaction leaves holes, so records cannot be counted."""
        # A place that a restarted broker has not told yet is at its start.
        places = {place: self._consumer.position(place, timeout_ms=POLL_MS) or 0 for place in ends}
        return sum(max(0, end - places[place]) for place, end in ends.items())

    def _stalled(self) -> BrokerError:
        return silent(self._broker, fix="check that it runs; `finsentry doctor` asks it")

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_topic(broker: BrokerSettings, topic: Topic) -> Iterator[Any]:
    """Every record that stands in the topic when this is called, in order within each partition."""
    with TopicReader(broker, topic) as reader:
        yield from reader.read()


def furthest(records: Iterable[Any], known: dict[int, Checkpoint]) -> dict[int, Checkpoint]:
    """The furthest checkpoint by partition among records of `windows` and those known before."""
    result = dict(known)
    for record in records:
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Checkpoint):
            held = result.get(record.partition)
            if held is None or held.position <= entry.position:
                result[record.partition] = entry
    return result
