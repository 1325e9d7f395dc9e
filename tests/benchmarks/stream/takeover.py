"""What a worker holds while it takes a partition over whose buckets are closed, all but the newest."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from time import monotonic
from typing import NamedTuple

from aiokafka import TopicPartition

from deploy.local.kafka import EmbeddedKafka
from stream.aggregation import PartitionCounter
from stream.broker import BrokerSettings, ensure_topics
from stream.records import encode, window_key
from stream.topics import Topics, TopicSettings
from stream.windows_log import decode_window, read_to_end
from stream.writing import Entry, append, open_producer
from tests.benchmarks.fleet import say
from tests.benchmarks.linux import peak_bytes, resident_bytes
from tests.benchmarks.stream.growth import MOST_HEADLINES, filled

LATENESS = timedelta(hours=1)


class TakenOver(NamedTuple):
    """One partition, read back by a process of its own."""

    buckets: int
    """That stand in it."""
    left: int
    """That are still open."""
    peak: int
    """Resident bytes, the most at any time, above those at the start."""
    seconds: float


def measure(kafka: EmbeddedKafka, *, sizes: Sequence[int] = (20_000, 100_000)) -> list[TakenOver]:
    """For each number of buckets with `MOST_HEADLINES` each, followed by the one checkpoint that compaction leaves."""
    found = []
    # A fresh process each: what it held at most is a process's own, for ever.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for buckets in sizes:
            topics = Topics(TopicSettings(prefix=f"takeover-{buckets}.", partitions=1))
            ensure_topics(kafka.settings, (topics.windows,))
            place = TopicPartition(topics.windows.name, 0)
            asyncio.run(_write(kafka.settings, place, buckets))
            found.append(processes.submit(_take_over, kafka.settings, place, buckets).result())
            say(f"takeover of {buckets:,} buckets: {found[-1].peak / 1e6:.0f} MB")
    return found


async def _write(broker: BrokerSettings, place: TopicPartition, buckets: int) -> None:
    records = filled(buckets, MOST_HEADLINES).to_write(caught_up=True)
    producer = open_producer(broker, client_id="benchmark-takeover")
    await producer.start()
    try:
        entries = (Entry(window_key(record, "writer"), encode(record)) for record in records)
        await append(producer, place.topic, place.partition, entries)
    finally:
        await producer.stop()


def _take_over(broker: BrokerSettings, place: TopicPartition, buckets: int) -> TakenOver:
    counter = PartitionCounter(place.partition, lateness=LATENESS, evidence=MOST_HEADLINES)

    async def restore() -> None:
        async for record in read_to_end(broker, [place]):
            entry = decode_window(record.key, record.value)
            if entry is not None:
                counter.restore(entry)

    pid = os.getpid()
    before, began = resident_bytes(pid), monotonic()
    asyncio.run(restore())
    return TakenOver(buckets, counter.open_buckets, peak_bytes(pid) - before, monotonic() - began)


def table(found: Sequence[TakenOver]) -> list[str]:
    rows = [f"| {one.buckets:,} | {one.left:,} | {one.peak / 1e6:,.0f} | {one.seconds:.1f} |" for one in found]
    return ["| buckets in the partition | left open | resident MB at most | seconds |", "|---|---|---|---|", *rows]
