"""One worker process with a classifier that costs nothing, beside loops that promise nothing; where the time goes."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from deploy.local.kafka import EmbeddedKafka
from tests.benchmarks.feeding import past_documents, publish_all
from tests.benchmarks.fleet import Spent, documents_topic, open_fleet, say
from tests.benchmarks.texts import padded_texts

GOAL = 60_000


class Round(NamedTuple):
    """The same documents through bare loops and through a worker, one after the other."""

    bare: Spent
    worker: Spent


def preload(kafka: EmbeddedKafka, prefix: str, partitions: int, texts: Sequence[str], span: timedelta) -> int:
    """Documents over `span` of event time, ready to be read; how many."""
    topics = documents_topic(kafka.settings, prefix, partitions)
    return asyncio.run(publish_all(kafka.settings, topics.documents, past_documents(texts, span=span)))


def drain(
    kafka: EmbeddedKafka, prefix: str, partitions: int, total: int, logs: Path, *, workers: int = 1, **options: Any
) -> Spent:
    """Lets new workers count all documents of a prefix from the start; measured from the first tenth on."""
    with open_fleet(kafka, prefix, partitions, logs) as fleet:
        for _ in range(workers):
            fleet.start(**options)
        return fleet.watch(total, at_least=total // 10)


def measure(kafka: EmbeddedKafka, logs: Path, *, documents: int, partitions: int, rounds: int) -> list[Round]:
    """Each round counts the same documents anew."""
    total = preload(kafka, "stubbed.", partitions, padded_texts(documents), timedelta(hours=2))
    found = []
    for number in range(rounds):
        bare = drain(kafka, "stubbed.", partitions, total, logs, program="tests.benchmarks.bare_loops")
        found.append(Round(bare, drain(kafka, "stubbed.", partitions, total, logs)))
        say(f"stubbed, round {number + 1}/{rounds}: {found[-1].worker.rate:,.0f} of {bare.rate:,.0f} documents/s")
    return found


def profile(kafka: EmbeddedKafka, logs: Path, *, documents: int, partitions: int) -> tuple[dict[str, Any], int]:
    """Seconds by function, as `tests.benchmarks.sampling` writes them, and of how many documents."""
    total = preload(kafka, "profile.", partitions, padded_texts(documents), timedelta(hours=2))
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / "profile.json"
    drain(kafka, "profile.", partitions, total, logs, profile=str(path))
    return json.loads(path.read_text(encoding="utf-8")), total


def table(found: Sequence[Round]) -> list[str]:
    def row(what: str, of: Callable[[Spent], float], decimals: int) -> str:
        worker, bare = (median(map(of, side)) for side in ([one.worker for one in found], [one.bare for one in found]))
        ratio = median(of(one.worker) / of(one.bare) for one in found)
        return f"| {what} | {worker:,.{decimals}f} | {bare:,.{decimals}f} | {ratio:.2f} |"

    return [
        "| classifier stubbed, medians | one worker | bare loops | ratio, median of rounds |",
        "|---|---|---|---|",
        row(f"documents/s (goal {GOAL:,})", lambda spent: spent.rate, 0),
        row("processor µs a document", lambda spent: spent.worker_micros, 1),
        row("broker's µs a document", lambda spent: spent.broker_micros, 1),
    ]
