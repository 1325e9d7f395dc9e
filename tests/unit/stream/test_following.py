"""In which order a role is given what stands in the topics, over a broker made of lists."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from stream import following, windows_log
from stream.broker import BrokerSettings
from stream.following import Follower, Read
from stream.records import CHECKPOINT_KEY, Alert, Checkpoint, encode
from stream.topics import Topics, TopicSettings
from tests.unit.dashboards.console.records import alert

TOPICS = Topics(TopicSettings(partitions=2))
NEWEST = 3


PLACES = (*(TopicPartition(TOPICS.windows.name, number) for number in range(2)), TopicPartition(TOPICS.alerts.name, 0))


class Log:
    """A consumer of checkpoints in two partitions of `windows`, and of alerts, at the offsets that compaction left."""

    def __init__(self, offsets: list[set[int]], most: int) -> None:
        self._records = {place: sorted(held) for place, held in zip(PLACES, offsets, strict=True)}
        self._ends = {place: max(held, default=-1) + 2 for place, held in self._records.items()}  # a hole at the end
        self._at: dict[TopicPartition, int] = {}
        self._most = most
        self.late = 2
        """How many polls are followed by a record more in each partition."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._at = dict.fromkeys(places, 0)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._at[place]

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: min(self._records.get(place, []), default=0) for place in places}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: self._ends.get(place, 0) for place in places}

    async def getmany(self, *asked: TopicPartition, **_: object) -> dict[TopicPartition, list[Any]]:
        found = {}
        for place, held in self._records.items():
            if asked and place not in asked:
                continue
            next_ones = [offset for offset in held if offset >= self._at[place]]
            found[place] = [self._record(place, offset) for offset in next_ones[: self._most]]
            self._at[place] = next_ones[self._most] if len(next_ones) > self._most else self._ends[place]
            if self.late:
                held.append(self._ends[place])
                self._ends[place] += 1
        self.late -= self.late > 0
        return found

    def _record(self, place: TopicPartition, offset: int) -> Any:
        of_windows = Checkpoint(partition=place.partition, position=offset)
        record = alert(id=str(offset)) if place.topic == TOPICS.alerts.name else of_windows
        return SimpleNamespace(
            topic=place.topic,
            partition=place.partition,
            offset=offset,
            key=CHECKPOINT_KEY.encode(),
            value=encode(record),
            timestamp=0,
        )

    def offsets(self) -> list[list[int]]:
        return list(self._records.values())


async def load(log: Log) -> tuple[list[list[int]], list[float]]:
    """The offsets in the order in which they were given, by place, and the shares that were told."""
    given_: list[list[int]] = [[], [], []]
    shares: list[float] = []

    def take(records: list[Read]) -> None:
        for entry, _ in records:
            if isinstance(entry, Checkpoint):
                given_[entry.partition].append(entry.position)
            elif isinstance(entry, Alert):
                given_[2].append(int(entry.id))

    async with Follower(BrokerSettings(bootstrap_servers="127.0.0.1:9"), TOPICS, role="alerts") as follower:
        async for share, records in follower.load():
            shares.append(share)
            take(records)
        while log.late or any(len(found) < len(held) for found, held in zip(given_, log.offsets(), strict=True)):
            take(await follower.read())
    return given_, shares


@given(st.lists(st.sets(st.integers(0, 30), max_size=15), min_size=3, max_size=3), st.integers(1, 5))
def test_of_windows_the_newest_come_first_then_those_before_them_and_each_once(
    offsets: list[set[int]], most: int
) -> None:
    log = Log(offsets, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "AIOKafkaConsumer", lambda **_: log)
        patch.setattr(windows_log, "NEWEST_RECORDS", NEWEST)
        found, shares = asyncio.run(asyncio.wait_for(load(log), 10))
    assert found[2] == log.offsets()[2], "what an alert has become comes after what it was"
    for given_, held, stood in list(zip(found, log.offsets(), offsets, strict=True))[:2]:
        assert sorted(given_) == held, "each once, what was written meanwhile too"
        newest_from = max(stood, default=-1) + 2 - NEWEST
        past = [offset for offset in held if offset < newest_from]
        assert [offset for offset in given_ if offset < newest_from] == past
        assert [offset for offset in given_ if offset >= newest_from] == held[len(past) :]
        if past:
            at = given_.index(past[0])
            assert {offset for offset in stood if offset >= newest_from} <= set(given_[:at]), "what is newest is first"
    assert shares == sorted(shares)
    assert all(0 <= share < 1 for share in shares)
