"""From a document's append to the bucket that counts it, at a steady rate: by the clock of the broker alone.

`scored` keeps when a document was appended, and the first checkpoint above its offset stands behind the bucket that
counts it. Every document is looked at, none is sampled.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deploy.local.kafka import EmbeddedKafka
from stream.records import Checkpoint
from stream.snapshot import read_topic
from stream.topics import Topics
from stream.windows_log import decode_window
from tests.benchmarks.feeding import feed
from tests.benchmarks.fleet import documents_topic, open_fleet, say

P50_GOAL, P99_GOAL = 0.25, 1.5
WARM_UP = 0.2
"""Of the run, not looked at: the worker takes its partitions up."""


class Latencies(NamedTuple):
    """Seconds by percentile."""

    asked: float
    """Documents a second."""
    documents: int
    p50: float
    p95: float
    p99: float
    highest: float


def measure(
    kafka: EmbeddedKafka,
    logs: Path,
    *,
    name: str,
    rate: float,
    seconds: float,
    partitions: int,
    texts: Sequence[str],
    **options: Any,
) -> Latencies:
    """One worker at `rate` documents a second for `seconds`."""
    prefix = f"latency-{name}."
    topics = documents_topic(kafka.settings, prefix, partitions)
    with open_fleet(kafka, prefix, partitions, logs) as fleet:
        fleet.start(**options)
        # A few documents go ahead, so that the worker is up when the others come.
        ahead = asyncio.run(feed(kafka.settings, topics.documents, texts, rate=50, seconds=1))
        fleet.watch(ahead)
        say(f"latency, {name}: {rate:,.0f} documents/s for {seconds:.0f} s")
        sent = asyncio.run(feed(kafka.settings, topics.documents, texts, rate=rate, seconds=seconds, first=1000))
        fleet.watch(ahead + sent)
        found = latencies(kafka, fleet.topics)
    later = found[int(len(found) * WARM_UP) :]
    p50, p95, p99 = np.percentile(later, [50, 95, 99]).tolist()
    return Latencies(rate, len(later), p50, p95, p99, max(later))


def latencies(kafka: EmbeddedKafka, topics: Topics) -> list[float]:
    """Seconds of every document that is counted, by the time of its append."""
    checkpoints: dict[int, list[tuple[int, int]]] = {}
    for record in read_topic(kafka.settings, topics.windows):
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Checkpoint):
            checkpoints.setdefault(record.partition, []).append((entry.position, record.timestamp))
    found = []
    for record in read_topic(kafka.settings, topics.scored):
        line = checkpoints.get(record.partition, [])
        place = bisect_right(line, record.offset, key=lambda point: point[0])
        if place < len(line):
            found.append((record.timestamp, (line[place][1] - record.timestamp) / 1000))
    return [seconds for _, seconds in sorted(found)]


def table(found: dict[str, Latencies]) -> list[str]:
    lines = [
        f"| at half load | documents/s | p50 (goal {P50_GOAL * 1000:.0f} ms) | p95 | p99 (goal {P99_GOAL:.1f} s)"
        " | highest |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        cells = " | ".join(f"{1000 * value:,.0f} ms" for value in (one.p50, one.p95, one.p99, one.highest))
        lines.append(f"| {name} | {one.asked:,.0f} | {cells} |")
    return lines
