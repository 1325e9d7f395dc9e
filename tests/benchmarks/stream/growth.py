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

from deploy.local.kafka import EmbeddedKafka
from stream.aggregation import PartitionCounter
from stream.records import ScoredDocument
from stream.windows import WindowTable
from tests.benchmarks.fleet import Spent, say
from tests.benchmarks.linux import resident_bytes
from tests.benchmarks.stream.stubbed import drain, preload
from tests.benchmarks.texts import padded_texts

HOURS = timedelta(hours=1)

MOST_HEADLINES = 5
"""`stream.evidence`."""


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


def bucket_bytes(*, buckets: int = 60_000) -> dict[str, tuple[float, float]]:
    """Resident bytes of a bucket in the worker and in a role that reads `windows`, by headlines in it."""
    found = {}
    # A fresh process each: memory that was given back would be taken again, and be seen as nothing.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for headlines in (0, 1, MOST_HEADLINES):
            name = f"{headlines} headlines"
            found[name] = processes.submit(_bytes_with, buckets, headlines).result()
            say(f"memory, {name}: {found[name][0]:.0f} bytes a bucket")
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


def _bytes_with(buckets: int, headlines: int) -> tuple[float, float]:
    pid = os.getpid()
    gc.collect()
    before = resident_bytes(pid)
    counter = filled(buckets, headlines)
    open_bytes = (resident_bytes(pid) - before) / buckets
    records = counter.changed()
    del counter
    gc.collect()
    table = WindowTable()
    before = resident_bytes(pid)
    for record in records:
        table.put(record)
    # The records themselves are in memory already: what they take is what a reader's decoder takes, too.
    return open_bytes, (resident_bytes(pid) - before) / buckets


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
        probabilities=(offset % 997 / 997, 0.0, 0.0),
        model="stub",
    )


def bucket_table(found: dict[str, tuple[float, float]]) -> list[str]:
    lines = ["| a bucket with | bytes in the worker | bytes of sums and tables in a reader |", "|---|---|---|"]
    rows: Sequence[tuple[str, tuple[float, float]]] = list(found.items())
    return lines + [f"| {name} | {worker:,.0f} | {reader:,.0f} |" for name, (worker, reader) in rows]
