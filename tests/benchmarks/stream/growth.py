"""How cost grows: with workers, partitions, topics and minutes; the classifier is stubbed.

Processor time a document is what to look at: it is flat where cost grows linearly. A virtual machine's neighbours were
seen to add half to it for seconds at a time, so the best of several rounds says most.
"""

import gc
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from msgspec.structs import replace

from dashboards.console.state import TOPIC_HEADLINES
from deploy.local.kafka import EmbeddedKafka
from stream.aggregation import PartitionCounter
from stream.records import Bucket, ScoredDocument, encode
from stream.windows import WindowTable, minute_of
from stream.windows_log import decode_window
from tests.benchmarks.fleet import Spent, say
from tests.benchmarks.linux import resident_bytes
from tests.benchmarks.stream.stubbed import drain, preload
from tests.benchmarks.texts import padded_texts

HOURS = timedelta(hours=1)

MOST_HEADLINES = 5
"""`stream.evidence`."""

READ_PARTITIONS = 4
"""`topics.partitions`."""


class Case(NamedTuple):
    """One row of a table."""

    table: str
    name: str
    workers: int = 1
    partitions: int = 4
    topics: int = 20
    span: timedelta = 2 * HOURS
    lateness_minutes: int = 60


def cases() -> Iterator[Case]:
    for workers in (1, 2, 4):
        yield Case("workers", f"{workers} workers", workers=workers, partitions=8)
    for partitions in (1, 2, 4, 8, 16, 32, 64):
        yield Case("partitions", f"{partitions} partitions", partitions=partitions)
    for topics in (20, 200, 2000):
        yield Case("topics", f"{topics:,} topics", topics=topics)
    for name, hours in {"1 hour": 1, "6 hours": 6, "1 day": 24, "3 days": 72, "14 days": 336}.items():
        # Lateness as long as the span: every bucket stays open, and in memory.
        yield Case("minutes", f"{name} of open buckets", span=hours * HOURS, lateness_minutes=60 * hours + 1)


def measure(kafka: EmbeddedKafka, logs: Path, *, documents: int, rounds: int) -> dict[str, dict[str, list[Spent]]]:
    """By table and row; the rows of a table take turns in each round."""
    found: dict[str, dict[str, list[Spent]]] = {}
    texts = padded_texts(documents)
    loaded: set[str] = set()
    for number in range(rounds):
        for case in cases():
            prefix = f"growth-{case.partitions}-{case.span.total_seconds():.0f}."
            if prefix not in loaded:
                preload(kafka, prefix, case.partitions, texts, case.span)
                loaded.add(prefix)
            stream = {"lateness_minutes": case.lateness_minutes}
            options: dict[str, Any] = {"workers": case.workers, "topics": case.topics, "stream": stream}
            spent = drain(kafka, prefix, case.partitions, documents, logs, **options)
            found.setdefault(case.table, {}).setdefault(case.name, []).append(spent)
            say(f"growth, round {number + 1}/{rounds}, {case.name}: {spent.worker_micros:.1f} µs a document")
    return found


def _micros(run: Spent) -> float:
    return run.worker_micros


def tables(found: dict[str, dict[str, list[Spent]]]) -> list[str]:
    """Markdown: of each row the round that took least processor time, as all that disturbs it adds to that."""
    lines = []
    for name, rows in found.items():
        lines += [
            f"| {name} | documents/s | worker µs a document | broker µs a document | × first row | resident MB |",
            "|---|---|---|---|---|---|",
        ]
        first = next(iter(rows.values()))
        for row, runs in rows.items():
            best = min(runs, key=_micros)
            ratio = _micros(best) / min(map(_micros, first))
            resident = median(run.resident for run in runs) / 1e6
            lines.append(
                f"| {row} | {best.rate:,.0f} | {best.worker_micros:.1f} | {best.broker_micros:.1f} | {ratio:.2f}"
                f" | {resident:.0f} |"
            )
        lines.append("")
    return lines


class BucketBytes(NamedTuple):
    """Resident bytes of a bucket."""

    worker: float
    """While it is open."""
    reader: float
    """In a role that reads `windows`, as it came, of `READ_PARTITIONS`."""
    closed: float
    """There, once it is closed: one sum for all partitions, without the headlines that nobody will be shown."""


def bucket_bytes(*, buckets: int = 60_000) -> dict[str, BucketBytes]:
    """By headlines in it."""
    found = {}
    # A fresh process each: memory that was given back would be taken again, and be seen as nothing.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for headlines in (0, 1, MOST_HEADLINES):
            name = f"{headlines} headlines"
            held = filled(buckets, headlines).changed()
            found[name] = BucketBytes(
                processes.submit(_bytes_in_worker, buckets, headlines).result(),
                processes.submit(_bytes_in_reader, _spread(held, closed=False), thin=False).result(),
                processes.submit(_bytes_in_reader, _spread(held, closed=True), thin=True).result(),
            )
            say(f"memory, {name}: {', '.join(f'{size:.0f}' for size in found[name])} bytes a bucket")
    return found


def filled(buckets: int, headlines: int) -> PartitionCounter:
    """A counter that holds so many open buckets, of 20 topics a minute."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    counter = PartitionCounter(0, lateness=timedelta(days=365), evidence=MOST_HEADLINES)
    offset = 0
    for place in range(buckets):
        moment = begin + timedelta(minutes=place // 20)
        for copy in range(max(1, headlines)):
            counter.count(offset, _scored(offset, moment, f"topic-{place % 20}", copy if headlines else None))
            offset += 1
    return counter


def _bytes_in_worker(buckets: int, headlines: int) -> float:
    gc.collect()
    before = resident_bytes(os.getpid())
    counter = filled(buckets, headlines)
    return (resident_bytes(os.getpid()) - before) / counter.open_buckets


def _spread(held: Sequence[Bucket], *, closed: bool) -> list[bytes]:
    """The records of as many buckets, each minute's of 20 topics in every partition."""
    begin, records = held[0].minute, []
    for place, bucket in enumerate(held):
        of_minute, partition = divmod(place, READ_PARTITIONS)
        minute, topic = divmod(of_minute, 20)
        at = begin + timedelta(minutes=minute)
        # Counts of a busy stream: Python keeps one copy of those below 257.
        changes = dict.fromkeys(("documents", "stories", "negative", "negative_stories", "neutral"), 300 + place % 600)
        cell = replace(bucket, topic=f"topic-{topic}", minute=at, partition=partition, closed=closed, **changes)
        records.append(encode(cell))
    return records


def _bytes_in_reader(values: Sequence[bytes], *, thin: bool) -> float:
    gc.collect()
    before, table = resident_bytes(os.getpid()), WindowTable()
    for value in values:
        bucket = decode_window(b"", value)
        assert isinstance(bucket, Bucket)
        table.put(bucket)
        if thin and table.is_worth_thinning:
            table.thin(minute_of(bucket.minute) + 1, TOPIC_HEADLINES)
    return (resident_bytes(os.getpid()) - before) / len(values)


def _scored(offset: int, moment: datetime, topic: str, headline: int | None) -> ScoredDocument:
    return ScoredDocument(
        origin=offset,
        watermark=moment,
        id=f"{offset:032x}",
        story=f"{offset:032x}",
        title=f"Shares of lender {offset} fell after its quarterly report of the year",
        url=f"https://news.example/finance/{offset:012d}/a-story-about-a-lender",
        source="wire",
        source_kind="news",
        published_at=moment + timedelta(microseconds=offset % 1000),
        topic=topic,
        topic_probability=0.9,
        sentiment="neutral" if headline is None else "negative",
        probabilities=(offset * 7919 % 9973 / 9973, 0.0, 0.0),
        model="stub",
    )


def bucket_table(found: dict[str, BucketBytes]) -> list[str]:
    """Sizes in bytes."""
    lines = ["| a bucket with | open, in the worker | open, in a reader | closed, in a reader |", "|---|---|---|---|"]
    return lines + [
        f"| {name} | {size.worker:,.0f} | {size.reader:,.0f} | {size.closed:,.0f} |" for name, size in found.items()
    ]
