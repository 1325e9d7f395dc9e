"""A worker that is started over many buckets has them back in seconds."""

import asyncio
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from model.labels import TOPICS
from stream.broker import BrokerSettings
from stream.records import Bucket, encode
from stream.topics import Topics
from stream.writing import Entry, append, open_producer
from tests.faults.conftest import Scale
from tests.integration.logs import read_windows, wait_until
from tests.integration.streaming import NOW, StartWorker, as_records, documents, publish, wait_for_documents

SECONDS_A_MILLION = 30.0

RESTORED = re.compile(r"restored stage=aggregation partitions=\S.* buckets=(\d+) seconds=([0-9.]+)")

DOCUMENTS = 7
"""In each bucket."""


async def write_buckets(kafka: BrokerSettings, topics: Topics, total: int) -> None:
    """So many buckets, as many in each partition, of the minutes up to now."""
    parts = topics.windows.partitions
    producer = open_producer(kafka, client_id="test-buckets")
    await producer.start()
    try:
        for partition in range(parts):
            buckets = [
                Bucket(
                    topic=TOPICS[place % len(TOPICS)],
                    minute=NOW.replace(second=0, microsecond=0) - timedelta(minutes=place // len(TOPICS)),
                    partition=partition,
                    applied=-1,  # `scored` is empty
                    documents=DOCUMENTS,
                    negative=2,
                    neutral=2,
                    positive=3,
                    stories=DOCUMENTS,
                    negative_stories=2,
                )
                for place in range(total // parts)
            ]
            entries = (Entry(bucket.key.encode(), encode(bucket)) for bucket in buckets)
            await append(producer, topics.windows.name, partition, entries)
    finally:
        await producer.stop()


def restored(log: Path) -> tuple[int, float]:
    """Waits until a worker says how many buckets it has back, and how long that took."""
    wait_until(lambda: RESTORED.search(log.read_text()) is not None, seconds=120, what="the worker has its buckets")
    found = RESTORED.search(log.read_text())
    assert found is not None
    return int(found[1]), float(found[2])


def resident_mb(process: "subprocess.Popen[str]") -> float:
    """Memory that the process holds now."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.timeout(600)
def test_a_million_buckets_are_back_within_half_a_minute(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, scale: Scale, tmp_path: Path
) -> None:
    # All are open, for so long may a document be late: no bucket costs more to restore than one that is kept.
    options = {"stream": {"lateness_minutes": 60 * 24 * 60}}
    total = scale.buckets
    asyncio.run(write_buckets(kafka, topics, total))
    seconds = []
    for attempt in range(3):  # the best counts: what else the machine does only adds
        worker = start_worker(**options)
        buckets, took = restored(tmp_path / f"worker-{attempt}.log")
        seconds.append(took)
        held = resident_mb(worker)
        sys.stdout.write(f"\n{buckets:,} buckets restored in {took:.2f} s; the worker holds {held:.0f} MB\n")
        assert buckets == total
        if took < SECONDS_A_MILLION * total / 1_000_000:
            break
        worker.kill()
        worker.wait()
    assert min(seconds) < SECONDS_A_MILLION * total / 1_000_000

    publish(kafka, topics, as_records(documents(200)))
    wait_for_documents(kafka, topics, 200, seconds=120)
    assert sum(bucket.documents for bucket in read_windows(kafka, topics)[0].values()) == DOCUMENTS * total + 200
