"""What compaction leaves of `windows`, and in which order it is read back."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from stream import windows_log
from stream.aggregation import PartitionCounter
from stream.broker import BrokerSettings
from stream.records import Bucket, Checkpoint, Evidence, WindowRecord, encode, window_key
from stream.windows import WindowTable, minute_of
from stream.windows_log import decode_window, read_to_end

MINUTE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NEWEST = 10


def bucket(applied: int) -> Bucket:
    return Bucket(topic="Markets", minute=MINUTE, partition=0, applied=applied, documents=applied)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), min_size=1))
def test_the_higher_applied_survives_compaction_whoever_wrote_last(written: list[tuple[str, int]]) -> None:
    """Each writer's own values grow; how the two writers' records interleave is anything."""
    of_each: dict[str, int] = {}
    log = {}
    for writer, more in written:
        of_each[writer] = of_each.get(writer, 0) + more
        log[window_key(bucket(0), writer)] = encode(bucket(of_each[writer]))  # keeps the last record of a key
    table = WindowTable()
    for key, value in log.items():
        record = decode_window(key, value)
        assert isinstance(record, Bucket)
        table.put(record)
    start = minute_of(MINUTE)
    assert table.window("Markets", start + 1, 1).documents == max(of_each.values())


def test_a_checkpoint_is_told_by_its_key_with_and_without_a_writer() -> None:
    checkpoint = Checkpoint(partition=0, position=7)
    for key in (window_key(checkpoint, "a"), b"checkpoint"):
        assert decode_window(key, encode(checkpoint)) == checkpoint


class Log:
    """An aiokafka consumer over lists: of each partition its records by offset, and where it ends."""

    AT_ONCE = 3

    def __init__(self, partitions: Mapping[int, dict[int, WindowRecord]], ends: Mapping[int, int]) -> None:
        self._partitions = {TopicPartition("windows", number): log for number, log in partitions.items()}
        self._ends = {TopicPartition("windows", number): end for number, end in ends.items()}
        self._positions = dict.fromkeys(self._partitions, 0)

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, _places: object) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert offset >= 0
        self._positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._positions[place]

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: min(self._partitions[place], default=self._ends[place]) for place in places}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._ends[place] for place in places}

    async def getmany(self, *places: TopicPartition, **_: object) -> dict[TopicPartition, list[Any]]:
        fetched = {}
        for place in places:
            left = [offset for offset in sorted(self._partitions[place]) if offset >= self._positions[place]]
            given, more = left[: self.AT_ONCE], left[self.AT_ONCE :]
            self._positions[place] = given[-1] + 1 if more else self._ends[place]
            fetched[place] = [self._record(place, offset) for offset in given]
        return fetched

    def _record(self, place: TopicPartition, offset: int) -> SimpleNamespace:
        record = self._partitions[place][offset]
        return SimpleNamespace(
            partition=place.partition, offset=offset, key=window_key(record, "w"), value=encode(record)
        )

    def read_back(self, monkeypatch: pytest.MonkeyPatch, take: Any) -> None:
        """Gives `take` each record that `read_to_end` reads of all the partitions, of which `NEWEST` are the newest."""
        monkeypatch.setattr(windows_log, "NEWEST_RECORDS", NEWEST)
        monkeypatch.setattr(windows_log, "AIOKafkaConsumer", lambda **_: self)

        async def read() -> None:
            async for record in read_to_end(BrokerSettings(bootstrap_servers="127.0.0.1:9"), list(self._partitions)):
                take(record)

        asyncio.run(read())


def test_the_newest_are_read_first_and_each_once_whatever_compaction_took_away(monkeypatch: pytest.MonkeyPatch) -> None:
    long: dict[int, WindowRecord] = {
        offset: bucket(offset) for offset in range(3, 60) if offset % 4 and offset not in (51, 52)
    }
    log = Log({0: long, 1: {0: bucket(0), 4: bucket(4)}, 2: {}}, {0: 62, 1: 5, 2: 9})
    read: dict[int, list[int]] = {0: [], 1: [], 2: []}
    log.read_back(monkeypatch, lambda record: read[record.partition].append(record.offset))
    newest = [offset for offset in long if offset >= 62 - NEWEST]
    assert read == {0: newest + [offset for offset in long if offset not in newest], 1: [0, 4], 2: []}


def test_no_bucket_of_weeks_is_held_while_a_partition_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction leaves one checkpoint of a writer, behind all that it wrote."""
    total, lateness = 2000, timedelta(minutes=5)
    headline = Evidence(id="d", title="shares fell", negative=0.9, published_at=MINUTE)
    records: list[WindowRecord] = [
        Bucket(
            topic="Markets",
            minute=MINUTE + timedelta(minutes=place),
            partition=0,
            applied=place,
            documents=1,
            evidence=(headline,),
            closed=place < total - 6,
        )
        for place in range(total)
    ]
    watermark = MINUTE + timedelta(minutes=total - 1)
    records.append(Checkpoint(partition=0, position=total, origin=total - 1, watermark=watermark, counted=total))
    counter, most = PartitionCounter(0, lateness=lateness, evidence=5), 0

    def take(record: Any) -> None:
        nonlocal most
        entry = decode_window(record.key, record.value)
        assert entry is not None
        counter.restore(entry)
        most = max(most, counter.open_buckets)

    Log({0: dict(enumerate(records))}, {0: len(records)}).read_back(monkeypatch, take)
    assert (counter.position, counter.open_buckets) == (total, 6)
    assert most < NEWEST
