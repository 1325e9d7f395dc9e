"""The whole way through Kafka with the real bundle, beside the bare classifier on the same texts.

A worker waits idle while the classifier runs bare in this process; then it is given the same texts as documents, and
has the machine, with the broker, for itself. What is compared are texts a second of steady work.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from deploy.local.kafka import EmbeddedKafka
from model.classifier import Classifier
from model.settings import ModelSettings
from stream.settings import StreamSettings
from stream.topics import Topics
from tests.benchmarks.feeding import past_documents, publish_all
from tests.benchmarks.fleet import Fleet, Spent, documents_topic, open_fleet, say
from tests.benchmarks.texts import own_texts

GOAL = 0.93
PREFIX = "pipeline."


class Round(NamedTuple):
    """Texts a second of each contender."""

    bare: float
    batches: float
    """The bare classifier, given as many texts at once as the worker takes."""
    pipeline: float


def measure(kafka: EmbeddedKafka, logs: Path, *, texts: int, partitions: int, rounds: int, bundle: str) -> list[Round]:
    """One more round than is returned: the first warms up."""
    items = own_texts(texts)
    topics = documents_topic(kafka.settings, PREFIX, partitions)
    found = []
    with (
        Classifier.load(ModelSettings(bundle=Path(bundle) if bundle else None)) as classifier,
        open_fleet(kafka, PREFIX, partitions, logs) as fleet,
    ):
        fleet.start(bundle=bundle)
        for number in range(rounds + 1):
            size = StreamSettings().batch_documents
            bare = _bare(classifier, items, len(items))
            batches = _bare(classifier, items, size)
            spent = _piped(kafka, topics, fleet, items, done=number * len(items))
            found.append(Round(bare, batches, spent.rate))
            say(f"pipeline, round {number}/{rounds}: bare {bare:,.0f}, pipeline {spent.rate:,.0f} texts/s")
    return found[1:]


def _bare(classifier: Classifier, items: Sequence[str], at_once: int) -> float:
    began = perf_counter()
    for start in range(0, len(items), at_once):
        classifier.classify(items[start : start + at_once])
    return len(items) / (perf_counter() - began)


def _piped(kafka: EmbeddedKafka, topics: Topics, fleet: Fleet, items: Sequence[str], *, done: int) -> Spent:
    documents = past_documents(items, span=timedelta(minutes=10))
    asyncio.run(publish_all(kafka.settings, topics.documents, documents))
    return fleet.watch(done + len(items), at_least=done + 1)


def table(found: Sequence[Round]) -> list[str]:
    bare, batches, piped = (median(column) for column in zip(*found, strict=True))
    to_bare = median(one.pipeline / one.bare for one in found)
    to_batches = median(one.pipeline / one.batches for one in found)
    return [
        "| real bundle, broker on the same cores | texts/s | pipeline ÷ this |",
        "|---|---|---|",
        f"| bare classifier, all texts in one call | {bare:,.0f} | {to_bare:.0%} (goal {GOAL:.0%}) |",
        f"| bare classifier, {StreamSettings().batch_documents} texts a call, as the worker asks"
        f" | {batches:,.0f} | {to_batches:.0%} |",
        f"| pipeline: Kafka, scored, counted, Kafka | {piped:,.0f} | |",
    ]
