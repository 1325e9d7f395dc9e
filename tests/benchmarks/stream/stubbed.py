"""One worker process with a classifier that costs nothing: documents a second, and where the time goes."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from deploy.local.kafka import EmbeddedKafka
from tests.benchmarks.feeding import past_documents, publish_all
from tests.benchmarks.fleet import Spent, documents_topic, open_fleet, say
from tests.benchmarks.texts import padded_texts

GOAL = 60_000


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


def measure(kafka: EmbeddedKafka, logs: Path, *, documents: int, partitions: int, rounds: int) -> list[Spent]:
    """Each round counts the same documents anew."""
    total = preload(kafka, "stubbed.", partitions, padded_texts(documents), timedelta(hours=2))
    found = []
    for number in range(rounds):
        found.append(drain(kafka, "stubbed.", partitions, total, logs))
        say(f"stubbed, round {number + 1}/{rounds}: {found[-1].rate:,.0f} documents/s")
    return found


def profile(kafka: EmbeddedKafka, logs: Path, *, documents: int, partitions: int) -> tuple[dict[str, Any], int]:
    """Seconds by function, as `tests.benchmarks.sampling` writes them, and of how many documents."""
    total = preload(kafka, "profile.", partitions, padded_texts(documents), timedelta(hours=2))
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / "profile.json"
    drain(kafka, "profile.", partitions, total, logs, profile=str(path))
    return json.loads(path.read_text(encoding="utf-8")), total


def table(found: Sequence[Spent]) -> list[str]:
    rate, worker, broker = (
        median(getattr(spent, name) for spent in found) for name in ("rate", "worker_micros", "broker_micros")
    )
    return [
        "| one worker, classifier stubbed | median |",
        "|---|---|",
        f"| documents/s (goal {GOAL:,}) | {rate:,.0f} |",
        f"| documents a second of the worker's processor time | {1e6 / worker:,.0f} |",
        f"| worker, processor µs a document | {worker:.1f} |",
        f"| broker, processor µs a document | {broker:.1f} |",
    ]
