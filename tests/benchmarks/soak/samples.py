"""What is looked at every few seconds: a line of the CSV a process, and how it is taken from /proc and /metrics."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

LATENCY = "finsentry_document_to_window_seconds_bucket"
LAG = "finsentry_lag_documents"
OPEN_BUCKETS = "finsentry_open_buckets"
SCRAPE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process at one moment."""

    seconds: float
    """Since the load began."""
    process: str
    """`steady` is never killed."""
    generation: int
    """How many of that name were there before."""
    resident_mb: float
    handles: int
    lag: float | None = None
    """Records that wait for a stage, all partitions of this worker together; None where it gave no metrics."""
    open_buckets: float | None = None
    p50: float | None = None
    """Seconds from append to window since the last sample; None where nothing was counted."""
    p99: float | None = None


class Scrape(NamedTuple):
    """What a worker shows of itself."""

    lag: float
    open_buckets: float
    latencies: dict[float, float]
    """Documents counted so far within so many seconds, by upper bound."""


def scrape(port: int) -> Scrape | None:
    """None where it does not answer: it was killed, or has only begun to start."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS) as answer:
            return parse(answer.read().decode())
    except OSError:
        return None


def parse(text: str) -> Scrape:
    """From Prometheus' text format."""
    lag = buckets = 0.0
    latencies: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == LAG:
                lag += sample.value
            elif sample.name == OPEN_BUCKETS:
                buckets = sample.value
            elif sample.name == LATENCY:
                latencies[float(sample.labels["le"])] = sample.value
    return Scrape(lag, buckets, latencies)


def quantile(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float | None:
    """Of what came between two scrapes, linear within a bucket as Prometheus does; None where nothing came.

    What is above the last bound counts as that bound.
    """
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    total = max(counts.values(), default=0.0)
    if total <= 0:
        return None
    wanted = share * total
    low = below = 0.0
    for bound, count in counts.items():
        if count >= wanted:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - below) / max(count - below, 1e-12)
        low, below = bound, count
    return low


def write_csv(path: Path, samples: Iterable[Sample]) -> None:
    """One line a sample; what is unknown is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Sample)])
        writer.writeheader()
        for sample in samples:
            writer.writerow(asdict(sample))
