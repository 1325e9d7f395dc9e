"""How fast the stream is, on a real broker that shares the cores: `python -m tests.benchmarks.stream`.

Prints Markdown tables, says on stderr how far it is, and writes all numbers with `--json FILE`. `--only` picks parts:

- `pipeline`: the whole way with the real bundle, beside the bare classifier on the same texts;
- `stubbed`: documents a second of one worker whose classifier costs nothing, beside loops without the promise;
  `--profile` shows where the worker's time goes;
- `latency`: from a document's append to the bucket that counts it, at half of the rates measured just before;
- `growth`: cost by workers, partitions, topics and minutes of open buckets;
- `memory`: of a bucket, and of taking a partition over whose buckets are closed.

`--small` shows in a few minutes that everything runs; its figures say little.
"""

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from deploy.local.kafka import EmbeddedKafka
from tests.benchmarks.fleet import broker_and_folder
from tests.benchmarks.sampling import profile_table
from tests.benchmarks.side_by_side import machine
from tests.benchmarks.stream import growth, latency, pipeline, stubbed, takeover
from tests.benchmarks.texts import own_texts, padded_texts

PARTS = ("pipeline", "stubbed", "latency", "growth", "memory")

ASSUMED_RATES = {"real bundle": 400.0, "stubbed": 30_000.0}
"""Documents a second, where `latency` is measured alone; `--rate` and `--stub-rate` say otherwise."""


class Report:
    """What was found so far: lines for people, numbers for programs."""

    def __init__(self) -> None:
        self.numbers: dict[str, Any] = {"machine": machine()}

    def add(self, name: str, lines: Sequence[str], numbers: Any) -> None:
        """Prints the lines at once: a part may take long, and the next one may fail."""
        print("\n".join(lines) + "\n", flush=True)
        self.numbers[name] = numbers


def run(options: argparse.Namespace, kafka: EmbeddedKafka, logs: Path, report: Report) -> None:
    """Each part that is asked for, in turn."""
    capacity = {
        "real bundle": options.rate or ASSUMED_RATES["real bundle"],
        "stubbed": options.stub_rate or ASSUMED_RATES["stubbed"],
    }
    if "pipeline" in options.only:
        rounds = pipeline.measure(
            kafka,
            logs,
            texts=options.texts,
            partitions=options.partitions,
            rounds=options.rounds,
            bundle=options.bundle,
        )
        capacity["real bundle"] = median(one.pipeline for one in rounds)
        report.add("pipeline", pipeline.table(rounds), [one._asdict() for one in rounds])
    if "stubbed" in options.only:
        turns = stubbed.measure(
            kafka, logs, documents=options.documents, partitions=options.partitions, rounds=options.rounds
        )
        capacity["stubbed"] = median(one.worker.rate for one in turns)
        report.add(
            "stubbed", stubbed.table(turns), [{n: s._asdict() for n, s in one._asdict().items()} for one in turns]
        )
    if options.profile:
        found, total = stubbed.profile(kafka, logs, documents=options.documents, partitions=options.partitions)
        report.add("profile", profile_table(found, total), found)
    if "latency" in options.only:
        measured = _latencies(options, kafka, logs, capacity)
        report.add("latency", latency.table(measured), {name: one._asdict() for name, one in measured.items()})
    if "growth" in options.only:
        grown = growth.measure(kafka, logs, documents=options.documents, rounds=options.growth_rounds)
        numbers = {
            table: {row: [one._asdict() for one in runs] for row, runs in rows.items()} for table, rows in grown.items()
        }
        report.add("growth", growth.tables(grown), numbers)
    if "memory" in options.only:
        bytes_ = growth.bucket_bytes()
        report.add("memory", growth.bucket_table(bytes_), {name: one._asdict() for name, one in bytes_.items()})
        taken = takeover.measure(kafka)
        report.add("takeover", takeover.table(taken), [one._asdict() for one in taken])


def _latencies(
    options: argparse.Namespace, kafka: EmbeddedKafka, logs: Path, capacity: dict[str, float]
) -> dict[str, latency.Latencies]:
    shared: dict[str, Any] = {"seconds": options.seconds, "partitions": options.partitions}
    texts: dict[str, Callable[[], Sequence[str]]] = {
        "real bundle": lambda: own_texts(4000),
        "stubbed": lambda: padded_texts(20_000),
    }
    bundles: dict[str, str | None] = {"real bundle": options.bundle, "stubbed": None}
    return {
        name: latency.measure(
            kafka,
            logs,
            name=name.replace(" ", "-"),
            rate=capacity[name] / 2,
            texts=texts[name](),
            bundle=bundles[name],
            **shared,
        )
        for name in bundles
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.stream",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--profile", action="store_true", help="also profile the stubbed worker")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth-rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=8192, help="of `pipeline`, in each round")
    parser.add_argument("--documents", type=int, default=600_000, help="of `stubbed` and `growth`, in each run")
    parser.add_argument("--seconds", type=float, default=60, help="of each run of `latency`")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rate", type=float, help="full load of the real bundle, where `pipeline` is not measured")
    parser.add_argument("--stub-rate", type=float, help="full load of the stub, where `stubbed` is not measured")
    parser.add_argument("--bundle", default="", help="folder; the shipped bundle if absent")
    parser.add_argument("--small", action="store_true", help="a few minutes, to see that it runs")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    options = parser.parse_args(arguments)
    if options.small:
        options.rounds = options.growth_rounds = 1
        options.texts, options.documents, options.seconds = 1024, 60_000, 10
    # A topic that was just made has no leader for a moment; the producer tries again.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    report = Report()
    print(f"{report.numbers['machine']}\n")
    try:
        with broker_and_folder() as (kafka, logs):
            run(options, kafka, logs, report)
    finally:
        if options.json:
            options.json.write_text(json.dumps(report.numbers, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
