"""On-call sees how often the groups share their partitions out, and whose commits are refused."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from stream.aggregation import PartitionCounter
from stream.aggregation_service import AggregationService, _Counting
from stream.broker import BrokerSettings
from stream.hot_loop import LOST, HotLoop, Outcome
from stream.scoring_service import ScoringService, _Pipeline
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings

OPTIONS = (BrokerSettings(), Topics(TopicSettings()), StreamSettings(), Outcome())


class Consumer:
    """Takes what it is told; a commit raises `error`."""

    error: Exception

    def pause(self, *_places: TopicPartition) -> None: ...

    def seek(self, _place: TopicPartition, _offset: int) -> None: ...

    def resume(self, *_places: TopicPartition) -> None: ...

    async def commit(self, _offsets: object) -> None:
        raise self.error


class Loop:
    """One of the two loops: its listener, and a commit of what it has done."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.consumer = Consumer()
        self.listener: ConsumerRebalanceListener
        if stage == "scoring":
            service = ScoringService(*OPTIONS, classifying=cast("Any", None))
            self.place = TopicPartition("finsentry.documents", 0)
            self.listener = _Pipeline(service, self.consumer, None, None)
        else:
            self.place = TopicPartition("finsentry.scored", 0)
            self.listener = _Counting(AggregationService(*OPTIONS), self.consumer, None)

    async def commit(self) -> None:
        if isinstance(self.listener, _Pipeline):
            self.listener._to_commit[self.place] = (7, "")
            await self.listener._commit()
        else:
            self.listener._take_up(self.place, PartitionCounter(0, lateness=timedelta(hours=1), evidence=1), 0)
            await self.listener._commit({self.place: 7})

    def counted(self, what: str) -> float:
        return REGISTRY.get_sample_value(f"finsentry_{what}_total", {"stage": self.stage}) or 0.0


@pytest.fixture(params=["scoring", "aggregation"])
def loop(request: pytest.FixtureRequest) -> Loop:
    return Loop(request.param)


def more(loop: Loop, what: str, act: Callable[[], None]) -> float:
    before = loop.counted(what)
    act()
    return loop.counted(what) - before


def test_each_time_that_partitions_are_given_is_counted_also_the_same_or_none(loop: Loop) -> None:
    async def given_thrice() -> None:
        for places in ({loop.place}, {loop.place}, set()):
            await loop.listener.on_partitions_revoked({loop.place})
            await loop.listener.on_partitions_assigned(places)

    assert more(loop, "rebalances", lambda: asyncio.run(given_thrice())) == 3


@pytest.mark.parametrize("error", LOST)
def test_a_refused_commit_is_counted_and_ends_nothing(loop: Loop, error: type[Exception]) -> None:
    loop.consumer.error = error()
    assert more(loop, "commits_refused", lambda: asyncio.run(loop.commit())) == 1


def test_a_commit_that_fails_otherwise_is_no_refusal(loop: Loop) -> None:
    loop.consumer.error = KafkaConnectionError("the wire is cut")

    def fails() -> None:
        with pytest.raises(KafkaConnectionError):
            asyncio.run(loop.commit())

    assert more(loop, "commits_refused", fails) == 0


def test_both_are_shown_at_0_from_the_start() -> None:
    """Else the first refusal is a series that begins at 1, in which Prometheus sees no increase."""

    class Idle(HotLoop):
        stage = "idle"

        async def round(self) -> None:
            await asyncio.Event().wait()

    async def run() -> None:
        loop = Idle(*OPTIONS)
        await loop.start()
        await asyncio.sleep(0)
        await loop.stop()

    asyncio.run(run())
    for what in ("rebalances", "commits_refused"):
        assert REGISTRY.get_sample_value(f"finsentry_{what}_total", {"stage": "idle"}) == 0
