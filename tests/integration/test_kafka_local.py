"""The embedded Kafka keeps its data, ends with its parent and says what is wrong."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kafka as client
import pytest

from deploy.errors import LocalServerError
from deploy.local.kafka import EmbeddedKafka, find_running
from deploy.local.processes import port_answers
from stream.broker import BrokerSettings, ensure_topics
from stream.topics import Topic, Topics, TopicSettings
from tests.benchmarks.linux import cpu_seconds
from tests.integration.commands import CHECKOUT
from tests.integration.logs import wait_until

PARENT = """
import sys, time
from pathlib import Path
from deploy.local.kafka import EmbeddedKafka
with EmbeddedKafka(Path(sys.argv[1])) as server:
    print(server.pid, server.port, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka that these tests may kill."""
    server = EmbeddedKafka(tmp_path_factory.mktemp("killed"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def producer(kafka: BrokerSettings) -> Iterator[client.KafkaProducer]:
    made = client.KafkaProducer(**kafka.client_options(), acks="all", max_request_size=30_000_000)
    try:
        yield made
    finally:
        made.close()


def values(kafka: BrokerSettings, topic: str, count: int, *, seconds: float = 20) -> list[bytes]:
    """The first `count` values of a topic with one partition."""
    consumer = client.KafkaConsumer(**kafka.client_options(), max_partition_fetch_bytes=30_000_000)
    try:
        partition = client.TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        found: list[bytes] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                found += [record.value for record in records]
        return found
    finally:
        consumer.close()


def gone(pid: int, *, seconds: float = 10) -> bool:
    """Whether the process ends within `seconds`; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_first_start_is_little_work_and_the_heap_small(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as server:
        work = cpu_seconds(server.pid)
        command = Path(f"/proc/{server.pid}/cmdline").read_text().split("\0")
    # Asked are 15 s until it is ready, of which how long they take depends on what else the machine does.
    assert work < 20
    (heap,) = (int(word.removeprefix("-Xmx").removesuffix("m")) for word in command if word.startswith("-Xmx"))
    assert heap <= 512


def test_acknowledged_records_survive_kill_9(server: EmbeddedKafka) -> None:
    ensure_topics(server.settings, (Topic("kept", 1, 1),))
    sent = [f"record {number}".encode() for number in range(100)]
    with producer(server.settings) as out:
        for value in sent:
            out.send("kept", value)
        out.flush()
    address = server.bootstrap_servers

    os.kill(server.pid, signal.SIGKILL)
    assert gone(server.pid)
    server.start()  # raises where it takes too long

    assert server.bootstrap_servers == address
    assert values(server.settings, "kept", len(sent)) == sent


def test_the_largest_document_fits_twice_over(server: EmbeddedKafka) -> None:
    settings = TopicSettings(prefix="large.", partitions=1)
    topics = Topics(settings)
    ensure_topics(server.settings, topics.all())
    document = os.urandom(settings.max_document_bytes - 1000)
    letter = os.urandom(2 * settings.max_document_bytes - 1000)

    with producer(server.settings) as out:
        out.send(topics.documents.name, document)
        out.send(topics.dead_letters.name, letter)
        out.flush()

    assert values(server.settings, topics.documents.name, 1) == [document]
    assert values(server.settings, topics.dead_letters.name, 1) == [letter]


def test_it_listens_on_loopback_alone(server: EmbeddedKafka) -> None:
    listening = set()
    for line in Path(f"/proc/{server.pid}/net/tcp").read_text().splitlines()[1:]:
        local, state, inode = (line.split()[column] for column in (1, 3, 9))
        if state == "0A" and inode in open_sockets(server.pid):
            listening.add(local.partition(":")[0])

    assert listening == {"0100007F"}


def open_sockets(pid: int) -> set[str]:
    names = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            names.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return {name[len("socket:[") : -1] for name in names if name.startswith("socket:[")}


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalServerError, match=f"port {port} .*is taken") as caught:
            EmbeddedKafka(tmp_path, port=port).start()

    assert "local.kafka_port" in caught.value.fix


def test_a_second_kafka_over_the_same_folder_is_refused(server: EmbeddedKafka) -> None:
    with pytest.raises(LocalServerError, match=f"another Kafka already runs on {server.folder}"):
        EmbeddedKafka(server.folder).start()

    wait_until(server.is_ready, seconds=30, what="the first one still runs")


def test_others_find_it_by_its_folder_while_it_runs(server: EmbeddedKafka, tmp_path: Path) -> None:
    assert find_running(server.folder) == server.settings
    assert find_running(tmp_path) is None


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    try:
        assert parent.stdout is not None
        pid, port = map(int, parent.stdout.readline().split())
        assert port_answers(port)
    finally:
        parent.kill()
        parent.communicate()

    assert gone(pid)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_an_error_that_names_the_folder(tiny_disk: Path, tmp_path: Path) -> None:
    (tiny_disk / "filler").write_bytes(bytes(48 * 1024))

    with pytest.raises(LocalServerError, match=f"the disk of {tiny_disk}/kafka is full") as caught:
        EmbeddedKafka(tiny_disk / "kafka", log=tmp_path / "kafka.log").start()

    assert "data_folder" in caught.value.fix
