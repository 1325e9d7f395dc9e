"""Thirty minutes at half load with a kill every minute: `python -m tests.benchmarks.soak`, or `make soak`.

Three workers with the real bundle on a Kafka of their own. What they can do together is measured first, three times,
and half of the least is the load. Every minute one of two is killed (`kill -9`) and started anew; the third is never
killed, so that a trend can be seen. Ends with what was found, `samples.csv` and `soak.png` in a folder under
`data/soak`, and exit code 1 where memory, handles, latency or lag grew, or the windows are not those of an offline
count.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

from deploy.local.kafka import EmbeddedKafka
from deploy.local.processes import Process, free_ports
from tests.benchmarks.feeding import feed, past_documents, publish_all
from tests.benchmarks.fleet import Fleet, documents_topic, open_fleet, say
from tests.benchmarks.linux import open_handles, resident_bytes
from tests.benchmarks.side_by_side import machine
from tests.benchmarks.soak.exactness import compare
from tests.benchmarks.soak.plot import plot
from tests.benchmarks.soak.samples import Sample, Scrape, quantile, scrape, write_csv
from tests.benchmarks.soak.verdict import judge_growth, verdict_lines
from tests.benchmarks.texts import own_texts

NAMES = ("steady", "first", "second")
SAMPLE_SECONDS = 5.0
CALIBRATIONS = 3
"""How often it is measured what the workers can do: half of what they did in a fast moment would be more than half."""
LATENESS_MINUTES = 5
"""So that buckets close, and memory can be flat, within the run."""
WARM_UP_SHARE = 0.25
PREFIX = "soak."


class Watched:
    """The workers by name, each with the port of its metrics and what it said last."""

    def __init__(self, fleet: Fleet, **options: Any) -> None:
        self._fleet = fleet
        self._options = options
        self._ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
        self._before: dict[str, Scrape] = {}
        self._generations = dict.fromkeys(NAMES, 0)
        self._processes: dict[str, Process] = {name: self._start(name) for name in NAMES}

    def kill(self, name: str) -> None:
        """`kill -9`, and another one at once."""
        process = self._processes[name]
        process.kill()
        self._fleet.workers.remove(process)
        self._generations[name] += 1
        self._before.pop(name, None)
        self._processes[name] = self._start(name)

    def sample(self, seconds: float) -> list[Sample]:
        """Every worker as it is now. Raises `RuntimeError` where one has ended by itself."""
        found = []
        for name, process in self._processes.items():
            if not process.running:
                raise RuntimeError(f"{name} ended with {process.exit_code}:\n{process.output()}")
            said = scrape(self._ports[name])
            before = self._before.get(name)
            if said is not None:
                self._before[name] = said
            latencies = (before.latencies if before else {}, said.latencies if said else {})
            found.append(
                Sample(
                    seconds=round(seconds, 1),
                    process=name,
                    generation=self._generations[name],
                    resident_mb=round(resident_bytes(process.pid) / 1e6, 1),
                    handles=open_handles(process.pid),
                    lag=said.lag if said else None,
                    open_buckets=said.open_buckets if said else None,
                    p50=quantile(*latencies, 0.5),
                    p99=quantile(*latencies, 0.99),
                )
            )
        return found

    def _start(self, name: str) -> Process:
        return self._fleet.start(port=self._ports[name], **self._options)


def calibrate(server: EmbeddedKafka, logs: Path, texts: Sequence[str], **options: Any) -> float:
    """Documents a second that three workers do together, the least of some runs."""
    topics = documents_topic(server.settings, "calibrate.", 4)
    documents = past_documents(texts, span=timedelta(minutes=2))
    asyncio.run(publish_all(server.settings, topics.documents, documents))
    rates = []
    for number in range(CALIBRATIONS):
        with open_fleet(server, "calibrate.", 4, logs) as fleet:
            for _ in NAMES:
                fleet.start(**options)
            rates.append(fleet.watch(len(texts), at_least=len(texts) // 3).rate)
        say(f"measured {number + 1}/{CALIBRATIONS}: {rates[-1]:,.0f} documents/s")
    return min(rates)


def soak(server: EmbeddedKafka, logs: Path, options: argparse.Namespace, folder: Path, worker: dict[str, Any]) -> bool:
    """True where all that was to hold does."""
    texts = own_texts(4000)
    rate = options.rate or calibrate(server, logs, texts, **worker) / 2
    seconds = options.minutes * 60
    say(f"{rate:,.0f} documents/s for {options.minutes:g} minutes, a kill every {options.kill_seconds:g} s")
    topics = documents_topic(server.settings, PREFIX, 4)
    samples: list[Sample] = []
    kills: list[float] = []
    stop = Event()
    with open_fleet(server, PREFIX, 4, logs) as fleet, ThreadPoolExecutor(1) as thread:
        watched = Watched(fleet, **worker)
        asyncio.run(publish_all(server.settings, topics.documents, past_documents(texts[:1], span=timedelta(0))))
        fleet.watch(1)
        feeding: Future[int] = thread.submit(
            lambda: asyncio.run(
                feed(
                    server.settings,
                    topics.documents,
                    texts,
                    rate=rate,
                    seconds=seconds,
                    first=1,
                    stopped=stop.is_set,
                )
            )
        )
        try:
            _disturb(watched, feeding, samples, kills, options.kill_seconds)
        finally:
            stop.set()
            write_csv(folder / "samples.csv", samples)
        published = 1 + feeding.result()
        say(f"{published:,} documents published, {len(kills)} kills; waiting for the rest to be counted")
        fleet.watch_documents(published)
        findings = judge_growth(samples, warm_up=WARM_UP_SHARE * seconds, rate=rate)
        findings += compare(
            server.settings, fleet.topics, published=published, lateness=timedelta(minutes=LATENESS_MINUTES)
        )
    title = f"{rate:,.0f} documents/s, {len(kills)} kills; {machine()}"
    plot(folder / "soak.png", samples, kills, title=title)
    holds = all(finding.holds for finding in findings)
    print("\n".join([title, "", *verdict_lines(findings), "", "flat and exact" if holds else "NOT flat and exact"]))
    numbers = {"rate": rate, "kills": kills, "published": published, "holds": holds}
    verdict = numbers | {"findings": {one.name: [one.holds, one.said] for one in findings}}
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=1), encoding="utf-8")
    return holds


def _disturb(watched: Watched, feeding: "Future[int]", samples: list[Sample], kills: list[float], every: float) -> None:
    """Samples and kills until the feed ends."""
    began = monotonic()
    due = every
    while not feeding.done():
        passed = monotonic() - began
        samples += watched.sample(passed)
        if passed >= due:
            watched.kill(NAMES[1 + len(kills) % 2])
            kills.append(passed)
            due += every
            say(f"{passed / 60:.0f} minutes: killed {len(kills)}, steady has {_steady(samples).resident_mb:.0f} MB")
        sleep(SAMPLE_SECONDS)


def _steady(samples: Sequence[Sample]) -> Sample:
    return next(sample for sample in reversed(samples) if sample.process == "steady")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--kill-seconds", type=float, default=60, help="between two kills")
    parser.add_argument("--rate", type=float, help="documents a second, in place of half of the least that is measured")
    parser.add_argument("--stub", action="store_true", help="a classifier that costs nothing; give --rate with it")
    parser.add_argument("--bundle", default="", help="folder; the shipped bundle if absent")
    parser.add_argument("--folder", type=Path, default=Path("data/soak"), help="a folder for each run is made in it")
    options = parser.parse_args(arguments)
    folder = options.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    worker = {
        "bundle": None if options.stub else options.bundle,
        "stream": {"lateness_minutes": LATENESS_MINUTES},
    }
    with (
        tempfile.TemporaryDirectory(prefix="finsentry-soak-") as broker,
        EmbeddedKafka(Path(broker)) as server,
    ):
        holds = soak(server, folder / "logs", options, folder, worker)
    say(f"see {folder}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
