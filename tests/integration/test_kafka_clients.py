"""What is reached for inside aiokafka is there in the version that is installed: unit tests bring their own."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream.broker import BrokerSettings
from stream.closing import _end_member
from stream.hot_loop import _holds
from stream.topics import Topics
from tests.integration.streaming import as_records, documents, publish

pytestmark = pytest.mark.timeout(120)


@pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConsumer:ResourceWarning")
def test_a_member_that_is_ended_by_force_has_no_task_left(kafka: BrokerSettings, topics: Topics) -> None:
    async def run() -> tuple[int, set[asyncio.Task[None]]]:
        before = asyncio.all_tasks()
        consumer = AIOKafkaConsumer(topics.documents.name, **kafka.client_options(), group_id=topics.group("scoring"))
        await consumer.start()
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=200)
        begun = len(asyncio.all_tasks() - before)
        assert not await _end_member(consumer)
        return begun, asyncio.all_tasks() - before

    begun, left = asyncio.run(run())
    assert begun >= 3, "it coordinates, beats and fetches"
    assert not left


def test_records_that_were_fetched_are_known_to_wait_in_the_client(kafka: BrokerSettings, topics: Topics) -> None:
    publish(kafka, topics, as_records(documents(200)))

    async def run() -> tuple[set[TopicPartition], set[TopicPartition]]:
        places = [TopicPartition(topics.documents.name, number) for number in range(topics.documents.partitions)]
        consumer = AIOKafkaConsumer(**kafka.client_options(), auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(places)
            async with asyncio.timeout(30):
                while not await consumer.getmany(timeout_ms=200, max_records=1):
                    pass
                while not any(_holds(consumer, place) for place in places):
                    await asyncio.sleep(0.05)
                first = {place for place in places if _holds(consumer, place)}
                while any(_holds(consumer, place) for place in places):
                    await consumer.getmany(timeout_ms=200)
            return first, {place for place in places if _holds(consumer, place)}
        finally:
            await consumer.stop()

    held, left = asyncio.run(run())
    assert held
    assert not left
