"""Workers over one broker, and what they did between two moments, by the broker's word and Linux's."""

import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import kafka.errors
import msgspec

from deploy.local.kafka import EmbeddedKafka
from deploy.local.processes import Process
from stream.broker import BrokerSettings, admin_client, ensure_topics
from stream.records import Checkpoint
from stream.snapshot import TopicReader, furthest
from stream.topics import Topics
from tests.benchmarks.linux import cpu_seconds, resident_bytes
from tests.benchmarks.worker import WorkerOptions, measured_topics

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 120.0
"""How long a fleet may count nothing before the measurement is given up."""


NOT_YET = (
    kafka.errors.CoordinatorLoadInProgressError,
    kafka.errors.CoordinatorNotAvailableError,
    kafka.errors.NotCoordinatorError,
)
"""What a fresh broker says of a group: it makes its topic of offsets when it is first asked for one."""


class Spent(NamedTuple):
    """What a fleet did in a stretch of steady work."""

    documents: int
    seconds: float
    worker_cpu: float
    """Processor seconds of all workers."""
    broker_cpu: float
    resident: int
    """Bytes of the largest worker at the end."""

    @property
    def rate(self) -> float:
        """Documents a second."""
        return self.documents / self.seconds

    @property
    def worker_micros(self) -> float:
        """Processor time of workers a document, µs: what other work on the machine changes least."""
        return self.worker_cpu / self.documents * 1e6

    @property
    def broker_micros(self) -> float:
        return self.broker_cpu / self.documents * 1e6


class Fleet:
    """Workers that read the documents of one prefix and write under another, new one. Use `open_fleet`."""

    def __init__(self, server: EmbeddedKafka, documents: str, partitions: int, logs: Path) -> None:
        self.server = server
        self.prefix = f"run-{secrets.token_hex(4)}."
        self.partitions = partitions
        self._documents = documents
        self._logs = logs
        self.topics = measured_topics(self.prefix, partitions, documents)
        ensure_topics(server.settings, self.topics.all())
        self.workers: list[Process] = []

    def start(self, *, program: str = "tests.benchmarks.worker", **options: Any) -> Process:
        """One more worker; `options` are those of `WorkerOptions` that are not about topics. `program`: its module."""
        wanted = WorkerOptions(
            broker=self.server.bootstrap_servers,
            prefix=self.prefix,
            documents=self._documents,
            partitions=self.partitions,
            **options,
        )
        command = [sys.executable, "-m", program, msgspec.json.encode(wanted).decode()]
        log = self._logs / f"{self.prefix}worker-{len(self.workers)}.log"
        self.workers.append(Process(command, log=log))
        return self.workers[-1]

    def counted(self, client: Any) -> int:
        """Records of `scored` that stand in acknowledged buckets."""
        return sum(self.positions(client).values())

    def positions(self, client: Any) -> dict[int, int]:
        """By partition, as the aggregation group has committed them."""
        group = self.topics.group("aggregation")
        try:
            found = client.list_group_offsets([group])[group]
        except NOT_YET:
            return {}
        return {place.partition: max(0, entry.offset) for place, entry in found.items()}

    def watch(self, total: int, *, at_least: int = 1, progress: Callable[[int], None] = lambda _n: None) -> Spent:
        """Waits until `total` are counted; measures from the moment when `at_least` were.

        Raises `RuntimeError` where a worker ends, or nothing is counted for `PATIENCE_SECONDS`.
        """
        with admin_client(self.server.settings) as client:
            begin, documents = None, 0
            moved = monotonic()
            while documents < total:
                sleep(POLL_SECONDS)
                found = self.counted(client)
                if found > documents:
                    moved, documents = monotonic(), found
                    progress(documents)
                if begin is None and documents >= at_least:
                    begin = (documents, monotonic(), self.worker_cpu(), cpu_seconds(self.server.pid))
                self._require_life(moved)
            assert begin is not None
            first, began, worker_cpu, broker_cpu = begin
            return Spent(
                documents - first,
                moved - began,
                self.worker_cpu() - worker_cpu,
                cpu_seconds(self.server.pid) - broker_cpu,
                max(resident_bytes(worker.pid) for worker in self.workers),
            )

    def watch_documents(self, total: int) -> None:
        """Waits until `total` documents are accounted for by the checkpoints: `scored` may hold some twice."""
        checkpoints: dict[int, Checkpoint] = {}
        moved, known = monotonic(), -1
        with TopicReader(self.server.settings, self.topics.windows) as reader:
            while True:
                checkpoints = furthest(reader.read(), checkpoints)
                found = sum(one.counted + one.late + one.dead for one in checkpoints.values())
                if found >= total:
                    return
                if found > known:
                    moved, known = monotonic(), found
                self._require_life(moved)
                sleep(POLL_SECONDS)

    def worker_cpu(self) -> float:
        return sum(cpu_seconds(worker.pid) for worker in self.workers)

    def _require_life(self, moved: float) -> None:
        for worker in self.workers:
            if not worker.running:
                raise RuntimeError(f"a worker ended with {worker.exit_code}:\n{worker.output()}")
        if monotonic() - moved > PATIENCE_SECONDS:
            raise RuntimeError(f"nothing was counted for {PATIENCE_SECONDS:.0f} s:\n{self.workers[0].output()}")

    def stop(self) -> None:
        for worker in self.workers:
            worker.ask_to_stop()
        for worker in self.workers:
            worker.stop()
        # The documents stay for the next run.
        own = [topic.name for topic in self.topics.all() if topic.name.startswith(self.prefix)]
        with admin_client(self.server.settings) as client:
            client.delete_topics(own)


@contextmanager
def open_fleet(server: EmbeddedKafka, documents: str, partitions: int, logs: Path) -> Iterator[Fleet]:
    """A fleet without workers yet; what it leaves in the broker is deleted at the end."""
    fleet = Fleet(server, documents, partitions, logs)
    try:
        yield fleet
    finally:
        fleet.stop()


def documents_topic(broker: BrokerSettings, prefix: str, partitions: int) -> Topics:
    """Topics of which only `documents` is created."""
    topics = measured_topics(prefix, partitions, prefix)
    ensure_topics(broker, (topics.documents,))
    return topics


@contextmanager
def broker_and_folder() -> Iterator[tuple[EmbeddedKafka, Path]]:
    """A Kafka of this run's own, and a folder for logs; both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="finsentry-benchmark-") as name:
        folder = Path(name)
        with EmbeddedKafka(folder / "kafka") as server:
            yield server, folder / "logs"


def say(line: str) -> None:
    """Progress, for whoever waits."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
