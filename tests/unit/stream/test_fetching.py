"""What the scoring loop reads: nothing that is dropped when partitions move, nothing for which there is no room."""

import asyncio
from collections import defaultdict
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from stream.errors import LogLostError
from stream.hot_loop import HotLoop
from stream.scoring_service import ScoringService, _Pipeline, _Result
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings
from stream.waiting import WAITING_BYTES

PLACE = TopicPartition("finsentry.documents", 0)


class Consumer:
    """As aiokafka: a `getmany` that began before a rebalance goes on after it, and moves positions by what it gives."""

    def __init__(self, records: int, oldest: int = 0, *, value: bytes = b"{}") -> None:
        self.oldest = oldest
        self._value = value
        self.position: dict[TopicPartition, int] = defaultdict(int)
        self.paused: set[TopicPartition] = set()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.records = records
        self.most = 10**6
        """Records in one answer."""
        self.calls = 0
        """Of `getmany`."""

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= set(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.position[place] = offset

    def resume(self, *places: TopicPartition) -> None:
        self.paused -= set(places)

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.oldest)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.records)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:  # noqa: ARG002
        self.asked.set()
        self.calls += 1
        await self.answer.wait()
        await asyncio.sleep(0.01)
        if PLACE in self.paused:
            return {}
        first = self.position[PLACE]
        self.position[PLACE] = end = min(first + min(max_records, self.most), self.records)
        return {
            PLACE: [
                SimpleNamespace(offset=offset, timestamp=0, key=b"", value=self._value) for offset in range(first, end)
            ]
        }


class Admin:
    def __init__(self, committed: int = -1) -> None:
        self.committed = committed

    async def list_consumer_group_offsets(self, _group: str, *, partitions: list[TopicPartition]) -> dict[Any, Any]:
        return {place: SimpleNamespace(offset=self.committed, metadata="") for place in partitions}


def pipeline_over(consumer: Consumer, admin: Admin) -> _Pipeline:
    service = SimpleNamespace(
        settings=StreamSettings(),
        topics=Topics(TopicSettings()),
        stage=ScoringService.stage,
        ready=asyncio.Event(),
        scorer=lambda: None,
        guard=lambda: None,
        alive=lambda: None,
        _expired={},
    )
    service.expired = partial(HotLoop.expired, cast("HotLoop", service))
    service.assigned = partial(HotLoop.assigned, cast("HotLoop", service))
    return _Pipeline(service, consumer, None, admin)  # type: ignore[arg-type]


async def begun(consumer: Consumer, admin: Admin | None = None) -> tuple[_Pipeline, asyncio.Task[None]]:
    """A pipeline that was given the partition and is fetching from a consumer that answers."""
    pipeline = pipeline_over(consumer, admin or Admin())
    consumer.answer.set()
    await pipeline.on_partitions_assigned({PLACE})
    return pipeline, asyncio.ensure_future(pipeline.fetch())


def test_what_is_acknowledged_while_partitions_leave_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though more is in flight than can be waited for: the next owner would score it once more."""

    async def run() -> list[object]:
        committed: list[object] = []
        consumer = Consumer(records=0)
        pipeline = pipeline_over(consumer, Admin())

        async def commit(offsets: object) -> None:
            committed.append(offsets)

        async def append(*_: object) -> None:
            pipeline._to_commit[PLACE] = (7, "")

        monkeypatch.setattr(consumer, "commit", commit, raising=False)
        monkeypatch.setattr(pipeline, "_append", append)
        monkeypatch.setattr(pipeline, "_observe", lambda _scored: None)
        await pipeline.on_partitions_assigned({PLACE})
        pipeline._in_flight = 2
        pipeline._idle.clear()
        tasks = [asyncio.ensure_future(work) for work in (pipeline.on_partitions_revoked({PLACE}), pipeline.write())]
        await asyncio.sleep(0)
        await pipeline._results.put(_Result(pipeline._epoch, 1, [SimpleNamespace()]))  # type: ignore[list-item]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        return committed

    assert asyncio.run(run()) == [{PLACE: (7, "")}]


def test_a_read_that_spans_a_rebalance_takes_nothing_that_is_then_dropped() -> None:
    async def run() -> list[int]:
        consumer = Consumer(records=3)
        pipeline = pipeline_over(consumer, Admin())
        await pipeline.on_partitions_assigned(set())
        fetching = asyncio.ensure_future(pipeline.fetch())
        await consumer.asked.wait()
        await pipeline.on_partitions_revoked(set())
        await pipeline.on_partitions_assigned({PLACE})
        consumer.answer.set()
        offsets: list[int] = []
        while len(offsets) < 3:
            async with asyncio.timeout(5):
                batches = await pipeline._waiting.take()
            offsets += [record.offset for batch in batches for record in batch.received]
        fetching.cancel()
        return offsets

    assert asyncio.run(run()) == [0, 1, 2]


def test_fetching_pauses_while_the_classifier_is_slow() -> None:
    room = StreamSettings().batch_documents

    async def run() -> tuple[list[int], int]:
        consumer = Consumer(records=5 * room)
        pipeline, fetching = await begun(consumer)
        fetched, calls = [], 0
        for _ in range(3):
            await asyncio.sleep(0.1)  # the classifier is busy for as long as ten answers of the broker take
            fetched.append(consumer.position[PLACE])
            calls = consumer.calls
            await pipeline._waiting.take()
        fetching.cancel()
        return fetched, calls

    assert asyncio.run(run()) == ([room, 2 * room, 3 * room], 3)


def take_up(consumer: Consumer, admin: Admin) -> _Pipeline:
    """The pipeline after it was given the partition and fetched from it once."""

    async def run() -> _Pipeline:
        pipeline, fetching = await begun(consumer, admin)
        taking = asyncio.ensure_future(pipeline._waiting.take())
        async with asyncio.timeout(5):
            await asyncio.wait({fetching, taking}, return_when=asyncio.FIRST_COMPLETED)
        taking.cancel()
        if fetching.done():
            fetching.result()
        fetching.cancel()
        return pipeline

    return asyncio.run(run())


def test_documents_that_end_before_what_was_scored_of_them_are_an_error() -> None:
    with pytest.raises(LogLostError, match=r"documents, partition 0 ends at offset 3, but scoring has come to 5"):
        take_up(Consumer(records=3), Admin(committed=5))


@pytest.mark.parametrize(("committed", "oldest", "logged"), [(1, 2, 1), (2, 2, 0), (-1, 2, 0)])
def test_documents_that_expired_before_they_were_scored_are_said(
    committed: int, oldest: int, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = take_up(Consumer(records=3, oldest=oldest), Admin(committed=committed))
    assert caplog.text.count("documents expired before they were read") == logged
    assert pipeline.done == {PLACE: 2}, "the lag is told from the start"


def test_it_begins_where_the_watermark_stands_whatever_the_consumer_takes_for_its_place() -> None:
    """The two ask for the group's offset apart, and a commit may come in between."""

    async def run() -> list[int]:
        consumer = Consumer(records=6)
        consumer.position[PLACE] = 5
        pipeline, fetching = await begun(consumer, Admin(committed=3))
        async with asyncio.timeout(5):
            batches = await pipeline._waiting.take()
        fetching.cancel()
        return [record.offset for batch in batches for record in batch.received]

    assert asyncio.run(run()) == [3, 4, 5]


def test_a_loss_is_counted_once_a_worker_however_often_it_is_met() -> None:
    lost = partial(REGISTRY.get_sample_value, "finsentry_documents_expired_total", {"stage": "scoring"})
    before = lost() or 0.0
    loop = ScoringService(*[cast("Any", SimpleNamespace(restarts=1))] * 5)
    for begin, oldest in ((2, 6), (2, 6), (2, 9), (9, 9)):
        loop.expired(PLACE, begin, oldest)
    assert lost() == before + 7


@pytest.mark.parametrize(("jump", "oldest", "logged"), [(5, 4, 1), (5, 2, 0), (0, 2, 0)])
def test_what_expires_while_it_waits_is_said_and_a_hole_in_the_log_is_not(
    jump: int, oldest: int, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A consumer whose place is gone begins anew at the oldest record; a transaction's marker is an offset alone."""

    async def run() -> int:
        consumer = Consumer(records=2)
        pipeline, fetching = await begun(consumer)
        await pipeline._waiting.take()
        consumer.oldest, consumer.records = oldest, 8
        consumer.position[PLACE] += jump
        batches = await pipeline._waiting.take()
        fetching.cancel()
        return batches[0].received[0].offset

    assert asyncio.run(run()) == 2 + jump
    assert caplog.text.count("documents expired before they were read stage=scoring partition=0 from=2 to=4") == logged


def test_a_log_that_goes_back_while_it_is_read_is_an_error() -> None:
    async def run() -> None:
        consumer = Consumer(records=2)
        pipeline, fetching = await begun(consumer)
        await pipeline._waiting.take()
        consumer.position[PLACE] = 0
        async with asyncio.timeout(5):
            await fetching

    with pytest.raises(LogLostError, match=r"documents, partition 0 goes on at offset 0, but scoring has come to 2"):
        asyncio.run(run())


def test_few_large_documents_wait_and_not_a_batch_of_them() -> None:
    async def run() -> int:
        consumer = Consumer(records=500, value=b"x" * (WAITING_BYTES // 3))
        consumer.most = 1
        _, fetching = await begun(consumer)
        async with asyncio.timeout(30):
            while consumer.position[PLACE] < 4:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # in which it would go on
        fetching.cancel()
        return consumer.position[PLACE]

    assert asyncio.run(run()) == 4, "the fourth is the first with which there is too much"


def test_partitions_that_leave_while_a_gap_is_asked_about_are_not_looked_for() -> None:
    other = TopicPartition(PLACE.topic, 1)
    consumer = Consumer(records=2)
    pipeline = pipeline_over(consumer, Admin())
    pipeline._next = {PLACE: 0, other: 0}

    async def leave(places: list[TopicPartition]) -> dict[TopicPartition, int]:
        await pipeline.on_partitions_revoked(set())
        return dict.fromkeys(places, 0)

    consumer.beginning_offsets = leave  # type: ignore[method-assign]
    records = {place: [SimpleNamespace(offset=3)] for place in (PLACE, other)}
    assert not asyncio.run(pipeline._follows(pipeline._epoch, records))


def test_what_is_dropped_with_its_epoch_does_not_count_as_poison() -> None:
    letter = SimpleNamespace(error="TooLarge", message="")
    dead = SimpleNamespace(partition=0, offset=0, dead_letter=letter)

    async def run() -> list[bool]:
        pipeline = pipeline_over(Consumer(records=0), Admin())
        seen: list[bool] = []
        pipeline._guard = SimpleNamespace(observe=lambda dead, _cause: seen.append(dead))  # type: ignore[assignment]
        pipeline._in_flight = 1
        await pipeline._results.put(_Result(pipeline._epoch, 1, [dead]))  # type: ignore[list-item]
        await pipeline.on_partitions_revoked(set())
        writing = asyncio.ensure_future(pipeline.write())
        async with asyncio.timeout(5):
            await pipeline._idle.wait()
        writing.cancel()
        return seen

    assert asyncio.run(run()) == []
