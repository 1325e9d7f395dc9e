"""What the workers counted, beside an undisturbed reading of `scored`."""

from datetime import timedelta
from typing import Any

import msgspec

from stream.aggregation import PartitionCounter
from stream.broker import BrokerSettings
from stream.records import Bucket, ScoredDocument
from stream.snapshot import furthest, read_topic
from stream.topics import Topics
from stream.windows_log import decode_window
from tests.benchmarks.soak.verdict import Finding, judge_counts

Counts = dict[tuple[int, str], tuple[int, ...]]
"""By partition and key of the bucket."""


def compare(broker: BrokerSettings, topics: Topics, *, published: int, lateness: timedelta) -> list[Finding]:
    """Reads the topics as they stand now; everything must have been counted by then."""
    records = list(read_topic(broker, topics.windows))
    found: dict[tuple[int, str], Bucket] = {}
    for record in records:
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Bucket):
            held = found.get((record.partition, entry.key))
            if held is None or held.applied <= entry.applied:
                found[record.partition, entry.key] = entry
    checkpoints = furthest(records, {})
    expected, scored = _offline(read_topic(broker, topics.scored), lateness)
    counted = {key: _counts(bucket) for key, bucket in found.items()}
    return judge_counts(
        published=published,
        scored=scored,
        accounted=sum(one.counted + one.late for one in checkpoints.values()),
        different=sorted(key for key in counted.keys() | expected.keys() if counted.get(key) != expected.get(key)),
        letters=sum(1 for _ in read_topic(broker, topics.dead_letters)),
    )


def _offline(scored: Any, lateness: timedelta) -> tuple[Counts, int]:
    counters: dict[int, PartitionCounter] = {}
    origins: dict[int, set[int]] = {}
    counts: Counts = {}
    decoder = msgspec.json.Decoder(ScoredDocument)

    def take(counter: PartitionCounter) -> None:
        for bucket in counter.changed():
            counts[counter.partition, bucket.key] = _counts(bucket)

    for number, record in enumerate(scored):
        document = decoder.decode(record.value)
        origins.setdefault(record.partition, set()).add(document.origin)
        counter = counters.get(record.partition)
        if counter is None:
            counter = counters[record.partition] = PartitionCounter(record.partition, lateness=lateness, evidence=0)
        counter.count(record.offset, document)
        if number % 10_000 == 0:
            take(counter)
    for counter in counters.values():
        take(counter)
    return counts, sum(len(some) for some in origins.values())


def _counts(bucket: Bucket) -> tuple[int, ...]:
    b = bucket
    return (b.documents, b.negative, b.neutral, b.positive, b.stories, b.negative_stories)
