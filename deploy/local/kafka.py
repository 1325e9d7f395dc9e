"""Apache Kafka itself on this machine: one KRaft node, broker and controller, that ends with whoever started it."""

import base64
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from deploy.errors import LocalServerError
from deploy.local.jars import ensure_jars, find_java
from deploy.local.lock import LockFile, read_held
from deploy.local.processes import Process, free_ports, port_answers, port_is_taken
from stream.broker import BrokerSettings, admin_client
from stream.errors import BrokerError

HOST = "127.0.0.1"
LOCK = "lock"
"""Kafka's own lock comes too late: a second node has written to the metadata log before it meets that one."""
CLUSTER_ID = base64.urlsafe_b64encode(b"finsentry-local0").decode().rstrip("=")
START_SECONDS = 60.0
"""It is ready after 2 to 4 s on two idle cores; a machine under load may take a few times as long."""
PROBE_SECONDS = 2.0
FORMAT_SECONDS = 60
FREE_PORT_TRIES = 3

HEAP_MB = 448
"""Records of up to 24 MB are copied once or twice on their way; 128 MB of the default go to the log cleaner alone, see
`log.cleaner.dedupe.buffer.size`."""

JAVA_FLAGS = (
    "-Xms96m",
    # Measured from start to the first answer on 2 cores: defaults 4.7 s and 6.9 s of CPU, these two 2.3 s and 3.1 s.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # no file in /tmp
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device",
        "the disk of {folder} is full",
        "free some space there, or put data_folder on another disk",
    ),
    (
        r"Address already in use|BindException",
        "port {port} or {controller_port} of {host} is taken",
        "stop what listens there, or set another local.kafka_port (0: any free one)",
    ),
    (
        r"OutOfMemoryError|Could not reserve enough space|insufficient memory",
        "Kafka ran out of memory",
        "it needs about 500 MB: close something else",
    ),
    (
        r"Permission denied|AccessDeniedException",
        "Kafka may not write to {folder}",
        "give this user the folder, or set another data_folder",
    ),
)
"""What stands in the log of a Kafka that failed, what it means and what to do."""


def find_running(folder: Path) -> BrokerSettings | None:
    """The way to the Kafka that some process runs on this folder; None where nobody does."""
    servers = read_held(folder / LOCK)
    return BrokerSettings(bootstrap_servers=servers) if servers else None


class EmbeddedKafka:
    """One Kafka node over a folder that keeps its data between runs; a context manager.

    `port` 0 takes any free ports, and keeps them until `stop`. Start it from a thread that lives as long as the
    server must: on Linux it is killed when that thread ends, however it ends.

    `overrides` are Kafka's own keys, put over those of a node that stands alone: with them, and ports that the others
    know, it is a node of a cluster.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        controller_port: int = 0,
        largest_record_bytes: int = 24_000_000,
        heap_mb: int = HEAP_MB,
        overrides: Mapping[str, str | int] | None = None,
        jars: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.log = log or self.folder / "kafka.log"
        self.port = port
        self._wanted_port = port
        self._controller_port = controller_port
        self._largest = largest_record_bytes
        self._heap_mb = heap_mb
        self._overrides = dict(overrides or {})
        self._jars = jars
        self._process: Process | None = None
        self._lock = LockFile(self.folder / LOCK)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients; the port is known once the server was started."""
        return f"{HOST}:{self.port}"

    @property
    def settings(self) -> BrokerSettings:
        return BrokerSettings(bootstrap_servers=self.bootstrap_servers)

    @property
    def process(self) -> Process | None:
        return self._process

    @property
    def pid(self) -> int:
        """Raises `LocalServerError` where it was not started."""
        if self._process is None:
            raise LocalServerError("Kafka was not started")
        return self._process.pid

    def __enter__(self) -> "EmbeddedKafka":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, seconds: float = START_SECONDS) -> None:
        """Returns once it answers a metadata request. Raises `LocalServerError` that says what to do."""
        for attempt in range(1, FREE_PORT_TRIES + 1):
            try:
                self.launch()
                self.wait_until_ready(seconds)
                return
            except LocalServerError as error:
                self.stop()
                # Somebody was quicker to take the port that was free a moment ago.
                if self._wanted_port == 0 and "is taken" in error.message and attempt < FREE_PORT_TRIES:
                    continue
                raise
            except BaseException:
                self.stop()
                raise

    def launch(self) -> Process:
        """Starts the server and returns at once; the first time in a folder it formats the storage before that."""
        if self._process is not None:
            self._process.kill()  # ended already, as a rule: reaps it
        java = find_java()
        class_path = self._class_path()
        if not self._lock.acquire():
            raise LocalServerError(
                f"another Kafka already runs on {self.folder}",
                fix="stop it (`finsentry up` in another terminal?), or set another data_folder",
            )
        self._choose_ports()
        properties = self._write_properties()
        run = [
            str(java),
            *JAVA_FLAGS,
            f"-Xmx{self._heap_mb}m",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            "-cp",
            class_path,
        ]
        if not (self.folder / "log" / "meta.properties").exists():
            self._format(run, properties)
        self._process = Process([*run, "kafka.Kafka", properties], log=self.log)
        self._lock.say(self.bootstrap_servers)
        return self._process

    def is_ready(self) -> bool:
        """Whether it answers a metadata request now."""
        if not port_answers(self.port):
            return False
        try:
            with admin_client(self.settings, timeout_seconds=PROBE_SECONDS) as client:
                client.list_topics()
            return True
        except BrokerError:
            return False

    def wait_until_ready(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `LocalServerError` where it ends, or does not answer in time."""
        deadline = clock() + seconds
        while not self.is_ready():
            if self._process is None or not self._process.running:
                raise self.failure()
            if clock() > deadline:
                raise LocalServerError(
                    f"Kafka did not answer on {self.bootstrap_servers} within {seconds:.0f} s",
                    fix=f"look at {self.log}; is the machine overloaded?",
                )
            time.sleep(0.05)

    def stop(self, *, seconds: float = 10.0) -> None:
        """Asks it to stop, kills it after `seconds`; safe to call twice. The next start may use other ports."""
        if self._process is not None:
            self._process.stop(seconds=seconds)
        self._process = None
        self.port = self._wanted_port
        self._lock.release()

    def kill(self) -> None:
        """Ends it as a crash would; `launch` or `start` takes the same ports again."""
        if self._process is not None:
            self._process.kill()

    def failure(self) -> LocalServerError:
        """Why it ended, as far as its log tells."""
        said = self._process.output() if self._process is not None else ""
        return self._explain(said)

    def _explain(self, said: str) -> LocalServerError:
        for pattern, message, fix in CAUSES:
            if re.search(pattern, said):
                known = {
                    "folder": self.folder,
                    "host": HOST,
                    "port": self.port,
                    "controller_port": self._controller_port,
                }
                return LocalServerError(f"Kafka cannot run: {message.format(**known)}", fix=fix)
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith("\tat ")]
        last = lines[-1].strip() if lines else "it wrote nothing"
        return LocalServerError(f"Kafka ended: {last[:300]}", fix=f"the whole log is {self.log}")

    def _class_path(self) -> str:
        jars = self._jars or ensure_jars()
        return ":".join(str(jar) for jar in sorted(jars.glob("*.jar")))

    def _choose_ports(self) -> None:
        if self.port == 0:
            self.port, self._controller_port = free_ports(2)
            return
        if self._controller_port == 0:
            (self._controller_port,) = free_ports(1)
        if port_is_taken(self.port):
            raise self._explain("Address already in use")

    def _write_properties(self) -> Path:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        text = "".join(f"{key}={value}\n" for key, value in self._properties().items())
        path = self.folder / "server.properties"
        path.write_text(text, encoding="utf-8")
        return path

    def _properties(self) -> dict[str, str | int | Path]:
        controller = f"{HOST}:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"CLIENTS://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENTS://{self.bootstrap_servers}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "log",
            "auto.create.topics.enable": "false",
            "message.max.bytes": self._largest,
            # Heap: how much one request and all that wait may hold; the cleaner's table has room for 700,000 keys.
            "socket.request.max.bytes": 2 * self._largest,
            "queued.max.request.bytes": 4 * self._largest,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            "log.index.size.max.bytes": 1024 * 1024,
            # One node has one copy of everything.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # Nobody else joins the group; and a worker that was killed gives its partitions back in seconds.
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # After a kill the node waits for its own former session to end.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
            **self._overrides,
        }

    def _format(self, run: list[str], properties: Path) -> None:
        command = [
            *run,
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "-t",
            CLUSTER_ID,
            "-c",
            str(properties),
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=FORMAT_SECONDS,
                start_new_session=True,  # a Ctrl-C is for `up`, which then ends in order; this would fail halfway
            )
        except subprocess.TimeoutExpired as error:
            raise LocalServerError(
                f"Kafka's storage in {self.folder} was not formatted within {FORMAT_SECONDS} s",
                fix="is the machine overloaded, or the disk very slow?",
            ) from error
        if done.returncode != 0:
            raise self._explain(done.stdout + done.stderr)
