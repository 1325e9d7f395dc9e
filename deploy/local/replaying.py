"""An archive going through the pipeline of a run, published and followed until every row is accounted for.

Each of the two has a thread of its own: whoever looks must not wait for a broker that somebody has to start again.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from deploy.local.plans import fetch_metrics
from deploy.report import Report, gauge, latencies, latest_alerts
from ingest.publisher import open_publisher
from ingest.replay import ReplayResult, Speed, replay
from ingest.settings import IngestSettings
from ingest.sources.archive import ArchiveOptions
from stream.broker import BrokerSettings
from stream.errors import BrokerError
from stream.records import Alert, Checkpoint
from stream.snapshot import TopicReader, furthest, read_topic
from stream.topics import Topics
from stream.totals import Totals

JUDGED = "finsentry_judged_timestamp_seconds"

FOLLOW_SECONDS = 0.5

JOIN_SECONDS = 2.0
"""A thread that waits for a broker that is gone is left behind: the run must end within 15 s, and it dies with it."""


class Replaying:
    """A replay and what has become of it so far. A context manager: it ends the threads."""

    def __init__(
        self,
        path: Path,
        speed: Speed,
        how: ArchiveOptions,
        *,
        ingest: IngestSettings,
        broker: BrokerSettings,
        topics: Topics,
        worker_ports: list[int],
        alerts_port: int,
        settle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`settle_seconds`: how long the judge must have been still after the last document for the alerts to stand."""
        self._path = path
        self._speed = speed
        self._how = how
        self._ingest = ingest
        self._broker = broker
        self._topics = topics
        self._worker_ports = worker_ports
        self._alerts_port = alerts_port
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_error, args=(work,), daemon=True)
            for work in (self._publish, self._follow)
        ]
        self._reader: TopicReader | None = None
        self._checkpoints: dict[int, Checkpoint] = {}
        self._before = Totals()
        self._began = self._read_at = self._accounted_at = self._judged_at = 0.0
        self._judged: float | None = None
        self._published = (0, 0)
        self._peaks: dict[str, int] = {}
        self.result: ReplayResult | None = None
        """What was published; None until that has ended well."""
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._reader = TopicReader(self._broker, self._topics.windows, stopped=self._stop.is_set)
        self._read()
        self._before = self._totals()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        ends = self._clock() + JOIN_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, ends - self._clock()))
        if self._reader is not None:
            self._reader.close()

    def begin(self) -> None:
        """Starts to publish; the workers are ready."""
        self._began = self._clock()
        for thread in self._threads:
            thread.start()

    def look(self, pids: Mapping[str, int]) -> str:
        """Sees how far it has come, in a line for people. Raises what ended a thread."""
        if self._error is not None:
            raise self._error
        for name, pid in {"up": os.getpid(), **pids}.items():
            self._peaks[name] = max(self._peaks.get(name, 0), peak_memory(pid))
        done = self._totals().since(self._before)
        if not self._accounted_at and self.result and done.documents >= self.result.published - self.result.duplicates:
            self._accounted_at = self._clock()
        judged = gauge(fetch_metrics(self._alerts_port), JUDGED)
        if judged != self._judged or not self._accounted_at:
            self._judged, self._judged_at = judged, self._clock()
        sent, total = self._published
        seconds = max(self._clock() - self._began, 1e-9)
        return f"published {sent:,} of {total:,}  counted {done.counted:,}  {done.documents / seconds:,.0f} documents/s"

    @property
    def finished(self) -> bool:
        """Whether every row is accounted for and the judge has nothing more to say."""
        return bool(self._accounted_at) and self._read_at - self._judged_at >= self._settle_seconds

    def report(self) -> Report:
        """The numbers so far; whole once `finished`."""
        result, (sent, total) = self.result, self._published
        done = self._totals().since(self._before)
        seconds = (self._accounted_at or self._clock()) - self._began
        alerts = (msgspec.json.decode(r.value, type=Alert) for r in read_topic(self._broker, self._topics.alerts))
        return Report(
            rows=result.rows if result else total,
            rejected=result.rejected if result else 0,
            published=result.published if result else sent,
            duplicates=result.duplicates if result else 0,
            counted=done.counted,
            late=done.late,
            dead_lettered=done.dead,
            documents_per_second=round(done.documents / seconds, 1) if seconds > 0 else 0.0,
            latency_seconds=latencies(fetch_metrics(port) for port in self._worker_ports),
            peak_memory_bytes=self._peaks,
            alerts=latest_alerts(alerts),
            complete=self.finished,
        )

    def _keep_error(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # `look` raises it, whatever it is: a thread must not end in silence
            self._error = self._error or error

    def _publish(self) -> None:
        with open_publisher(self._ingest, self._broker, self._topics) as publisher:
            self.result = replay(
                self._path,
                publisher,
                self._ingest,
                speed=self._speed,
                options=self._how,
                progress=self._note,
                stop=self._stop,
            )

    def _follow(self) -> None:
        while not self._stop.wait(FOLLOW_SECONDS):
            with suppress(BrokerError):  # not now: the supervisor starts Kafka again, or says why not
                self._read()

    def _read(self) -> None:
        """Takes the checkpoints that have come."""
        assert self._reader is not None
        for record in self._reader.read():
            # One by one: what was read before the broker fell silent does not come again.
            self._checkpoints = furthest((record,), self._checkpoints)
        self._read_at = self._clock()

    def _note(self, done: int, total: int) -> None:
        self._published = (done, total)

    def _totals(self) -> Totals:
        return Totals.of(self._checkpoints.values())


def peak_memory(pid: int) -> int:
    """The largest resident set that a process has had, in bytes; 0 where it is gone or the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
