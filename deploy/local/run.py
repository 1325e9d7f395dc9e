"""The whole pipeline on one machine, from an empty folder to a page in the browser and back."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import msgspec

from alerts.settings import AlertSettings, DriftSettings, WindowSettings
from dashboards.console.settings import ConsoleSettings, minutes_in
from deploy.errors import InputError
from deploy.local.broker import embedded_kafka
from deploy.local.folders import live_folder, remember, replay_folder
from deploy.local.kafka import LOCK, EmbeddedKafka
from deploy.local.lock import read_held
from deploy.local.plans import (
    HOST,
    alertmanager_plan,
    find_alertmanager,
    find_prometheus,
    port_or_free,
    prometheus_plan,
    role_plan,
    simulation_plan,
)
from deploy.local.processes import free_ports, port_is_taken
from deploy.local.replaying import Replaying
from deploy.local.simulation.sources import simulation_settings
from deploy.local.supervisor import Plan, Say, Supervisor
from deploy.logs import log_to
from deploy.report import Report
from deploy.settings import Settings, to_environment, variable
from ingest.replay import Speed
from ingest.sources.archive import ArchiveOptions, ArchiveSource
from stream.broker import BrokerSettings, ensure_topics
from stream.topics import Topics, TopicSettings

STOP_SECONDS = 12.0
"""Leaves some of the 15 s in which everything must have ended to what follows."""

LOOK_SECONDS = 0.2

SHOWN_REJECTIONS = 3

SIMULATED_ALERTS = AlertSettings(
    windows={"2m": WindowSettings(minutes=2, step_minutes=1, min_stories=20)},
    resolve_after=2,
    # Alpha is one in a thousand then: a made-up stream lives minutes, and has no past of months to be surer by.
    false_alerts_per_topic_year=260,
    drift=DriftSettings(window=""),
)
"""A made-up crisis lasts two minutes: longer windows would hold its alert for hours after it."""

REPLAY_IDLE_SECONDS = 5.0
"""An archive at full speed has no pauses: a partition that was read to its end says nothing more."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `finsentry up` was asked for."""

    replay: Path | None = None
    how: ArchiveOptions = field(default_factory=ArchiveOptions)
    """How `replay` is read."""
    speed: Speed = "max"
    simulate: bool = False
    seconds: float | None = None
    report: Path | None = None
    simulation: tuple[str, ...] = ()
    """Options for the simulated web."""


class LocalRun:
    """One run: starts everything in order, looks after it, and stops it. `run` is for the main thread."""

    def __init__(
        self, options: RunOptions, settings: Settings, say: Say, progress: Callable[[str], None] = lambda _line: None
    ) -> None:
        if not options.simulate and options.replay is None and not settings.ingest.sources:
            raise InputError(
                "there is nothing to read: no sources are configured",
                fix="list feeds or APIs under ingest.sources in finsentry.toml, or use --simulate or --replay FILE",
            )
        if options.replay is not None:
            # Says what is wrong with the file before anything starts.
            ArchiveSource(options.replay, settings.ingest, options.how)
        self._options = options
        self._settings = settings
        self._say = say
        self._progress = progress
        self._topics = Topics(settings.topics)
        self._stop = threading.Event()
        self._folder = replay_folder(settings.data_folder) if options.replay else live_folder(settings.data_folder)
        self._supervisor = Supervisor(
            say,
            give_up_after=settings.local.give_up_after,
            give_up_seconds=settings.local.give_up_seconds,
            stopped=self._stop.is_set,
        )
        self._workers = [f"worker-{number}" for number in range(1, settings.local.workers + 1)]
        names = [*self._workers, "alerts", "console", "crawl", "simulation"]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._page = port_or_free(settings.console.port)

    @property
    def address(self) -> str:
        """The console's page."""
        return f"http://{HOST}:{self._page}/"

    def run(self) -> Report | None:
        """Returns after Ctrl-C, SIGTERM, the asked time or the end of a replay; all processes have ended then.

        Raises `LocalServerError` where something does not start or dies again and again.
        """
        self._check_topics()
        self._check_ports()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        server = None if self._settings.kafka.bootstrap_servers else embedded_kafka(self._settings, self._folder)
        with ExitStack() as stack:
            if server is not None:
                stack.callback(server.stop)  # after everything that stands on it
            stack.callback(self._end)
            broker = self._settings.kafka if server is None else self._start_kafka(server)
            if broker is None:
                return None
            ensure_topics(broker, self._topics.all())
            replaying = self._replaying(broker)
            with replaying or nullcontext():
                if not self._start_roles(broker):
                    return None
                if replaying is not None:
                    replaying.begin()
                return self._look_after(replaying)

    # ---- starting

    def _check_topics(self) -> None:
        """Raises `InputError` where what is made up would come among what is real, whence nobody could take it out."""
        kafka, topics = self._settings.kafka, self._settings.topics
        if self._options.simulate and kafka.bootstrap_servers and topics.prefix == TopicSettings().prefix:
            raise InputError(
                f"--simulate would publish made-up news into the topics of {kafka.bootstrap_servers}",
                fix="leave kafka.bootstrap_servers empty, for a Kafka of its own, or set topics.prefix to one that no"
                " real stream has",
            )

    def _check_ports(self) -> None:
        """Raises `InputError` where a port that was asked for is taken: trying again and again would not free it."""
        local = self._settings.local
        wanted = {"console": ("console.port", self._page)}
        if find_prometheus():
            wanted["prometheus"] = ("local.prometheus_port", local.prometheus_port)
            if find_alertmanager():
                wanted["alertmanager"] = ("local.alertmanager_port", local.alertmanager_port)
        for role, (key, port) in wanted.items():
            if port and port_is_taken(port):
                raise InputError(
                    f"port {port} of {HOST}, for {role}, is taken",
                    fix=f"end what listens there (another `finsentry up`?), or set {key} (0: any free one)",
                )

    def _start_kafka(self, server: EmbeddedKafka) -> BrokerSettings | None:
        """How to reach it; None where the run was stopped meanwhile."""
        # Held without a word in it is a Kafka that is just starting, which says where it listens once it does.
        if self._options.replay and read_held(self._folder.kafka / LOCK) is None:
            self._folder.clear()
        remember(self._settings.data_folder, self._folder)
        if not self._supervisor.start(Plan("kafka", server.launch, server.is_ready, failure=server.failure)):
            return None
        return server.settings

    def _start_roles(self, broker: BrokerSettings) -> bool:
        """Starts everything that stands on Kafka, in the order of readiness; False where the run was stopped."""
        environment = self._environment(broker)
        plans = self._monitoring()
        if self._options.simulate:
            plans.append(simulation_plan(self._ports["simulation"], self._folder, self._options.simulation))
        for name in self._workers:
            plans.append(role_plan(name, "worker", self._ports[name], self._folder, environment))
        plans.append(role_plan("alerts", "alerts", self._ports["alerts"], self._folder, environment))
        console = {**environment, variable("console.port"): str(self._page)}
        plans.append(role_plan("console", "console", self._ports["console"], self._folder, console, shown=self.address))
        if self._options.replay is None:
            plans.append(role_plan("crawl", "crawl", self._ports["crawl"], self._folder, environment))
        return all(self._supervisor.start(plan) for plan in plans)

    def _environment(self, broker: BrokerSettings) -> dict[str, str]:
        """What the roles are told beyond the settings that they read themselves."""
        configured = self._settings.kafka
        # Compared with the settings, which may say how to sign in to a Kafka of their own: this one asks for nothing.
        environment = {} if configured.bootstrap_servers else to_environment("kafka", broker, known=configured)
        if self._options.simulate:
            environment |= to_environment("ingest", simulation_settings(HOST, self._ports["simulation"]))
            if self._settings.alerts == AlertSettings():
                environment |= to_environment("alerts", SIMULATED_ALERTS)
        if self._options.replay is not None:
            environment[variable("stream.follow_clock")] = "false"
            environment[variable("stream.idle_seconds")] = str(REPLAY_IDLE_SECONDS)
            console = self._settings.console
            if console.window == ConsoleSettings().window:
                # Most archives hold a few headlines a day and topic.
                environment[variable("console.window")] = max(console.windows, key=minutes_in)
        return environment

    def _monitoring(self) -> list[Plan]:
        """Prometheus and Alertmanager, as far as they are installed."""
        local = self._settings.local
        if not find_prometheus():
            self._say(
                "prometheus", "is not installed: no alerts beyond the console (Debian: apt-get install prometheus)"
            )
            return []
        plans, alertmanager = [], None
        program = find_alertmanager()
        if program is None:
            self._say("alertmanager", "is not installed (apt-get install prometheus-alertmanager)")
        else:
            port = port_or_free(local.alertmanager_port)
            alertmanager = f"{HOST}:{port}"
            plans.append(alertmanager_plan(program, port, self._folder))
        roles = [*self._workers, "alerts", "console", *([] if self._options.replay else ["crawl"])]
        targets = {name: f"{HOST}:{self._ports[name]}" for name in roles}
        port = port_or_free(local.prometheus_port)
        plans.append(prometheus_plan(port, self._folder, targets, alertmanager, local.scrape_seconds))
        return plans

    def _replaying(self, broker: BrokerSettings) -> Replaying | None:
        if self._options.replay is None:
            return None
        log_to(self._folder.log("replay"), "ingest")
        return Replaying(
            self._options.replay,
            self._options.speed,
            self._options.how,
            ingest=self._settings.ingest,
            broker=broker,
            topics=self._topics,
            worker_ports=[self._ports[name] for name in self._workers],
            alerts_port=self._ports["alerts"],
            settle_seconds=REPLAY_IDLE_SECONDS + 3.0,
        )

    # ---- running

    def _look_after(self, replaying: Replaying | None) -> Report | None:
        """Tends the roles until the run is over; the report of a replay, which is written where it was asked for."""
        self._say("finsentry", f"is up: {self.address}  (Ctrl-C stops everything)")
        seconds = self._options.seconds
        ends = None if seconds is None else time.monotonic() + seconds
        report = None
        looked = 0.0
        while not self._stop.wait(LOOK_SECONDS):
            self._supervisor.tend()
            if replaying is not None and time.monotonic() - looked >= 1.0:
                looked = time.monotonic()
                line = replaying.look(self._supervisor.pids)
                if not replaying.finished:
                    self._progress(line)
                elif ends is not None:
                    break
                elif report is None:
                    report = self._finish(replaying)
                    self._say("finsentry", f"stays up: {self.address}  (Ctrl-C stops everything)")
            if ends is not None and time.monotonic() >= ends:
                break
        return self._finish(replaying) if replaying is not None and report is None else report

    def _finish(self, replaying: Replaying) -> Report:
        report = replaying.report()
        rejections = replaying.result.rejections if replaying.result else ()
        for rejected in rejections[:SHOWN_REJECTIONS]:
            self._say("replay", f"passed over {rejected}")
        if report.rejected > SHOWN_REJECTIONS:
            more = report.rejected - SHOWN_REJECTIONS
            self._say("replay", f"passed over {more:,} more rows; all are named in {self._folder.log('replay')}")
        self._say(
            "replay",
            f"{report.rows:,} rows: {report.rejected:,} rejected, {report.duplicates:,} duplicates,"
            f" {report.counted:,} counted, {report.late:,} late, {report.dead_lettered:,} dead;"
            f" {report.documents_per_second:,.0f} documents/s, {len(report.alerts)} alerts",
        )
        if self._options.report is not None:
            text = msgspec.json.format(msgspec.json.encode(report), indent=2)
            self._options.report.write_bytes(text + b"\n")
            self._say("replay", f"report written to {self._options.report}")
        return report

    # ---- ending

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():  # asked twice: now
            self._supervisor.end_at_once()
        self._stop.set()

    def _end(self) -> None:
        self._say("finsentry", "stopping")
        self._supervisor.stop(seconds=STOP_SECONDS)
        self._say("finsentry", f"stopped; what it made is in {self._folder.path}")
