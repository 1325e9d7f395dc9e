"""What a given number of documents a second needs: `python -m tests.benchmarks.capacity`.

Arithmetic over rates that were measured, each with its source; see `CAPACITY.md` for what is assumed. Every rate can
be given, so that a machine's own figures take the place of these.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import ceil

from tests.benchmarks.queueing import BatchServer

DAY = 86_400
LOADS = (1_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one document costs. Times are seconds of one core's time, sizes are bytes on the wire."""

    classify: float = 2 / 562
    """int8 on the CPU: 562 texts/s on 2 cores, `tests.benchmarks.stream --only pipeline`."""
    gpu_texts: float = 10_000.0
    """Texts a second of one GPU. Not measured: an assumption."""
    stream: float = 33.8e-6
    """Scoring and counting in a worker without the classifier, `tests.benchmarks.stream --only stubbed`."""
    broker: float = 5.3e-6
    """All that the broker does for it, `tests.benchmarks.stream --only stubbed`."""
    document_bytes: float = 740.0
    """In `documents`; texts of 330 characters."""
    scored_bytes: float = 520.0
    """In `scored`: no text, one headline."""
    bucket_bytes: float = 1_600.0
    """A record of `windows` with five headlines."""
    bucket_memory: float = 3_700.0
    """Of an open bucket in a worker, `tests.benchmarks.stream --only memory`."""
    open_in_reader: float = 620.0
    """Of an open bucket in the judge or the console, `tests.benchmarks.stream --only memory`: few keep headlines."""
    closed_in_reader: float = 440.0
    """There, of a topic's minute whose buckets are closed, besides a bit for each partition."""
    reader: float = 20e-6
    """A bucket read by the judge or the console. Not measured: an assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What an operator chooses, and what the input is like."""

    topics: int = 20
    active_minutes: int = 3
    """Minutes of event time that one flush touches in a partition: documents come a little out of order."""
    flush_seconds: float = 0.2
    batch_documents: int = 512
    lateness_minutes: int = 60
    documents_days: float = 7.0
    windows_days: float = 30.0
    replication: int = 3
    busy: float = 0.6
    """Share of a core or GPU that is planned for; the rest is for catching up and for peaks."""
    peak: float = 2.0
    """The busiest minute, as a multiple of the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the load needs, at its peak, with what `busy` leaves free."""

    documents: float
    classifier_cores: int
    gpus: int
    """In place of the classifier's cores."""
    stream_cores: int
    workers: int
    """Processes on CPUs of 16 cores, or the stream's cores if more: one process is one core of Python."""
    partitions: int
    broker_cores: int
    broker_in: float
    """Bytes a second that the brokers write, all copies together."""
    broker_out: float
    """Bytes a second that the brokers send to readers and to copies."""
    disk: float
    """Bytes, all copies together."""
    windows_records: float
    """Records a second that every reader of `windows` must take."""
    reader_cores: float
    worker_memory: float
    """Bytes of open buckets, all workers together."""
    reader_memory: float
    """Bytes of all that stands in `windows`, in a judge that goes on; the console holds fewer days."""
    latency: float
    """Mean seconds from append to window on CPUs, by `latency`."""


CORES_A_WORKER = 16
PARTITIONS_A_WORKER = 4
"""So that a worker more or less moves a quarter of another's load, and one that died is shared out evenly."""


def need(documents: float, rates: Rates = Rates(), on: Deployment = Deployment()) -> Need:
    """What `documents` a second in the mean need."""
    peak = documents * on.peak
    classifier_cores = ceil(peak * rates.classify / on.busy)
    stream_cores = ceil(peak * rates.stream / on.busy)
    workers = max(stream_cores, ceil(classifier_cores / CORES_A_WORKER))
    partitions = workers * PARTITIONS_A_WORKER
    records = windows_records(documents, partitions, on)
    written = documents * (rates.document_bytes + rates.scored_bytes) + records * rates.bucket_bytes
    # `documents` to scoring and to the crawlers' memory, `scored` to counting, `windows` to the judge and the console.
    read = documents * (2 * rates.document_bytes + rates.scored_bytes) + 2 * records * rates.bucket_bytes
    # Compaction keeps the last value of each bucket.
    buckets_a_day = on.topics * 1440 * partitions
    disk = (
        documents * DAY * on.documents_days * (rates.document_bytes + rates.scored_bytes)
        + min(buckets_a_day, documents * DAY) * on.windows_days * rates.bucket_bytes
    )
    open_buckets = min(on.topics * (on.lateness_minutes + 2) * partitions, documents * 60 * on.lateness_minutes)
    return Need(
        documents=documents,
        classifier_cores=classifier_cores,
        gpus=ceil(peak / rates.gpu_texts / on.busy),
        stream_cores=stream_cores,
        workers=workers,
        partitions=partitions,
        broker_cores=ceil(peak * rates.broker / on.busy),
        broker_in=written * on.replication,
        broker_out=read + written * (on.replication - 1),
        disk=disk * on.replication,
        windows_records=records,
        reader_cores=records * rates.reader,
        worker_memory=open_buckets * rates.bucket_memory,
        reader_memory=open_buckets * rates.open_in_reader
        + on.topics * on.active_minutes * partitions * rates.bucket_memory
        + min(on.topics * 1440, documents * DAY) * on.windows_days * (rates.closed_in_reader + partitions / 8),
        latency=latency(documents / workers, rates, on, cores=classifier_cores / workers),
    )


def windows_records(documents: float, partitions: int, on: Deployment) -> float:
    """Records a second of `windows`: each flush of a partition writes the buckets that changed, and a checkpoint.

    Never more buckets than documents; where documents are many, all topics in every active minute.
    """
    documents_a_flush = documents / partitions * on.flush_seconds
    cells = on.topics * on.active_minutes
    # The expected number of different cells that so many documents fall into, were topics alike.
    changed = min(documents_a_flush, cells * (1 - (1 - 1 / cells) ** documents_a_flush))
    return float(partitions * (changed + min(1.0, documents_a_flush)) / on.flush_seconds)


def latency(rate: float, rates: Rates, on: Deployment, *, cores: float, fixed: float = 0.005) -> float:
    """Mean seconds from append to window in one worker at `rate` documents a second.

    Scoring is a server of batches (see `tests.benchmarks.queueing`), with `fixed` seconds for what a batch costs
    besides its documents; then a document waits half of a flush, in the mean.
    """
    scoring = BatchServer(fixed=fixed, each=rates.classify / cores + rates.stream, limit=on.batch_documents)
    return scoring.mean_latency(rate) + on.flush_seconds / 2


def table(needs: Sequence[Need]) -> list[str]:
    """Markdown: a column a load."""
    rows: dict[str, Callable[[Need], str]] = {
        "CPU cores for the classifier (int8)": lambda n: f"{n.classifier_cores:,}",
        "or GPUs (rate assumed)": lambda n: f"{n.gpus:,}",
        "cores for scoring and counting besides": lambda n: f"{n.stream_cores:,}",
        f"worker processes, of {CORES_A_WORKER} cores each at most": lambda n: f"{n.workers:,}",
        "partitions": lambda n: f"{n.partitions:,}",
        "broker cores": lambda n: f"{n.broker_cores:,}",
        "brokers write, MB/s": lambda n: f"{n.broker_in / 1e6:,.0f}",
        "brokers send, MB/s": lambda n: f"{n.broker_out / 1e6:,.0f}",
        "disk, TB": lambda n: f"{n.disk / 1e12:,.1f}",
        "records/s of `windows`": lambda n: f"{n.windows_records:,.0f}",
        "cores of each reader of `windows`": lambda n: f"{n.reader_cores:,.2f}",
        "memory of open buckets, all workers, GB": lambda n: f"{n.worker_memory / 1e9:,.2f}",
        "memory of each reader of `windows`, GB": lambda n: f"{n.reader_memory / 1e9:,.2f}",
        "mean latency, ms": lambda n: f"{n.latency * 1000:,.0f}",
    }
    lines = ["| documents/s | " + " | ".join(f"{n.documents:,.0f}" for n in needs) + " |"]
    lines.append("|---" * (len(needs) + 1) + "|")
    return lines + [f"| {name} | " + " | ".join(cell(n) for n in needs) + " |" for name, cell in rows.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.capacity", description=__doc__)
    parser.add_argument("loads", nargs="*", type=float, default=LOADS, help="documents a second, in the mean")
    for kind in (Rates, Deployment):
        for field in fields(kind):
            name = "--" + field.name.replace("_", "-")
            parser.add_argument(name, type=type(field.default), default=field.default, help="default: %(default)s")
    options = parser.parse_args(arguments)
    rates = Rates(**{field.name: getattr(options, field.name) for field in fields(Rates)})
    on = Deployment(**{field.name: getattr(options, field.name) for field in fields(Deployment)})
    print("\n".join(table([need(load, rates, on) for load in options.loads])))


if __name__ == "__main__":
    main()
