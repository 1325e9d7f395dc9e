"""The broker is killed, or its disk is full, and workers with it: once it is well again, the counts are exact."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from time import sleep

import pytest

from deploy.local.kafka import EmbeddedKafka
from stream.broker import BrokerSettings
from stream.topics import Topics
from tests.faults.conftest import Scale
from tests.faults.crew import Crew
from tests.faults.exact import require_exact
from tests.integration.logs import wait_until
from tests.integration.streaming import (
    StartWorker,
    accounted,
    as_records,
    documents,
    publish,
    slow_for,
    wait_for_documents,
    with_poison,
)

STOPS_WITHIN = 45.0
"""It waits some 10 s in all; without bounds it would wait for ever."""


@pytest.fixture
def embedded_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of its own for each test, since it is killed."""
    with EmbeddedKafka(tmp_path / "kafka") as server:
        yield server


@pytest.mark.timeout(900)
def test_the_broker_is_killed_with_a_worker_and_both_come_back(
    embedded_kafka: EmbeddedKafka,
    kafka: BrokerSettings,
    topics: Topics,
    start_worker: StartWorker,
    scale: Scale,
    tmp_path: Path,
) -> None:
    random = Random(5)
    slow = slow_for(12.0 * scale.broker_kills, scale.documents, workers=2)
    crew = Crew(start_worker, tmp_path, 2, **slow)
    published = with_poison(as_records(documents(scale.documents)))
    publish(kafka, topics, published)
    counted = 0
    for kill in range(scale.broker_kills):
        wait_for_documents(kafka, topics, counted + 1, seconds=60)  # the workers are over the time before
        place = random.randrange(2)  # the other one outlives the broker
        crew.wait_until_it_holds(place)
        sleep(random.uniform(1.0, 4.0))
        counted = accounted(kafka, topics)
        assert counted < len(published), "it is killed while there is work"
        embedded_kafka.kill()
        if kill % 2:  # else in the same instant
            sleep(random.uniform(0.0, 3.0))
        crew.kill(place)
        sleep(random.uniform(0.0, 3.0))
        embedded_kafka.launch()
        embedded_kafka.wait_until_ready(60)
        crew.join(place, **slow)
    wait_for_documents(kafka, topics, len(published), seconds=90 + scale.documents / 500)
    crew.require_alive()
    require_exact(kafka, topics, scale.documents, dead=len(published) - scale.documents)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "frozen"])
def test_a_worker_stops_though_its_broker_is_away(
    embedded_kafka: EmbeddedKafka,
    kafka: BrokerSettings,
    topics: Topics,
    start_worker: StartWorker,
    how: signal.Signals,
) -> None:
    worker = start_worker(**slow_for(20.0, 5000, workers=1))
    publish(kafka, topics, as_records(documents(5000)))
    wait_for_documents(kafka, topics, 500, seconds=40)
    assert accounted(kafka, topics) < 4000, "it has something to write"
    os.kill(embedded_kafka.pid, how)
    sleep(1.0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(STOPS_WITHIN) == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for the broker, as large as a test can fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip(f"only root may mount a disk of a test's own: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


class TestFullDisk:
    """Kafka gives its only disk up and ends; it is started again once there is space."""

    @pytest.fixture
    def embedded_kafka(self, disk: Path, tmp_path: Path) -> Iterator[EmbeddedKafka]:
        with EmbeddedKafka(disk / "kafka", log=tmp_path / "kafka.log") as server:
            yield server

    @pytest.mark.timeout(240)
    def test_the_disk_under_the_broker_is_full_for_a_while(
        self,
        embedded_kafka: EmbeddedKafka,
        kafka: BrokerSettings,
        topics: Topics,
        start_worker: StartWorker,
        disk: Path,
    ) -> None:
        total = 6000
        workers = [start_worker(**slow_for(20.0, total, workers=2)) for _ in range(2)]
        publish(kafka, topics, as_records(documents(total)))
        wait_for_documents(kafka, topics, 500, seconds=40)
        assert accounted(kafka, topics) < total - 1500, "there is enough left to fill the disk"
        filler = disk / "filler"
        fill(filler, leaving=100_000)
        wait_until(lambda: not running(embedded_kafka), seconds=60, what="the broker ends")
        assert "the disk of" in str(embedded_kafka.failure())
        filler.unlink()
        embedded_kafka.launch()
        embedded_kafka.wait_until_ready(60)
        wait_for_documents(kafka, topics, total, seconds=90)
        assert [worker.poll() for worker in workers] == [None, None], "a worker gave up"
        require_exact(kafka, topics, total)


def fill(file: Path, *, leaving: int) -> None:
    """Takes all of a disk's space but some bytes, or all where others write meanwhile."""
    with suppress(OSError), file.open("wb", buffering=0) as out:
        out.write(bytes(max(0, shutil.disk_usage(file.parent).free - leaving)))
    assert shutil.disk_usage(file.parent).free <= 2 * leaving


def running(server: EmbeddedKafka) -> bool:
    return server.process is not None and server.process.running
