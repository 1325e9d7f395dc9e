"""What the scoring loop reads while the group moves partitions: nothing of them may be taken and then dropped."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from stream.scoring_service import ScoringService, _Pipeline
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings

PLACE = TopicPartition("finsentry.documents", 0)


class Consumer:
    """As aiokafka: a `getmany` that began before a rebalance goes on after it, and moves positions by what it gives."""

    def __init__(self, records: int) -> None:
        self.position: dict[TopicPartition, int] = defaultdict(int)
        self.paused: set[TopicPartition] = set()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self._records = records

    def pause(self, *places: TopicPartition) -> None:
        self.paused |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        self.paused -= set(places)

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self._records)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:  # noqa: ARG002
        self.asked.set()
        await self.answer.wait()
        await asyncio.sleep(0.01)
        if PLACE in self.paused:
            return {}
        first = self.position[PLACE]
        self.position[PLACE] = self._records
        return {
            PLACE: [
                SimpleNamespace(offset=offset, timestamp=0, key=b"", value=b"{}")
                for offset in range(first, self._records)
            ]
        }


class Admin:
    async def list_consumer_group_offsets(self, _group: str, *, partitions: list[TopicPartition]) -> dict[Any, Any]:
        return {place: SimpleNamespace(offset=-1, metadata="") for place in partitions}


def test_a_read_that_spans_a_rebalance_takes_nothing_that_is_then_dropped() -> None:
    async def run() -> list[int]:
        consumer = Consumer(records=3)
        service = SimpleNamespace(
            settings=StreamSettings(),
            topics=Topics(TopicSettings()),
            stage=ScoringService.stage,
            ready=asyncio.Event(),
            scorer=lambda: None,
            guard=lambda: None,
            alive=lambda: None,
        )
        pipeline = _Pipeline(service, consumer, None, Admin())  # type: ignore[arg-type]
        await pipeline.assigned(set())
        fetching = asyncio.ensure_future(pipeline.fetch())
        await consumer.asked.wait()
        await pipeline.revoked(set())
        await pipeline.assigned({PLACE})
        consumer.answer.set()
        offsets: list[int] = []
        while len(offsets) < 3:
            async with asyncio.timeout(5):
                batches = await pipeline._waiting.take()
            offsets += [record.offset for batch in batches for record in batch.received]
        fetching.cancel()
        return offsets

    assert asyncio.run(run()) == [0, 1, 2]
