"""`finsentry` commands against this test's own broker and topics."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker import BrokerSettings
from stream.topics import Topics, TopicSettings
from tests.integration.commands import Finsentry
from tests.integration.streaming import StartWorker

LONGEST = ("test_up_simulated.py", "test_up_replay.py")
"""Begun first, so that no core waits for the other at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture
def environment(kafka: BrokerSettings, topic_settings: TopicSettings, tmp_path: Path) -> dict[str, str]:
    """The variables that send a `finsentry` process to this test's broker, topics and folder."""
    return {
        "FINSENTRY_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "FINSENTRY_TOPICS__PREFIX": topic_settings.prefix,
        "FINSENTRY_TOPICS__PARTITIONS": str(topic_settings.partitions),
        "FINSENTRY_DATA_FOLDER": str(tmp_path / "data"),
    }


@pytest.fixture
def finsentry(tmp_path: Path, environment: dict[str, str]) -> Iterator[Finsentry]:
    """Runs `finsentry` commands against this test's broker and topics."""
    commands = Finsentry(tmp_path, environment)
    try:
        yield commands
    finally:
        commands.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Finsentry]:
    """Commands with a Kafka of their own, for `up` brings one, and a free port for the page."""
    commands = Finsentry(tmp_path, {"FINSENTRY_DATA_FOLDER": str(tmp_path / "data"), "FINSENTRY_CONSOLE__PORT": "0"})
    try:
        yield commands
    finally:
        commands.close()


@pytest.fixture
def start_worker(kafka: BrokerSettings, topics: Topics, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers over this test's topics, and ends them; their logs are shown where the test fails."""
    started: list[subprocess.Popen[str]] = []

    def start(**options: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.integration.stub_worker", kafka.bootstrap_servers, topics.group("")]
        with (tmp_path / f"worker-{len(started)}.log").open("w") as log:
            process = subprocess.Popen([*command, json.dumps(options)], stdout=log, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for place, process in enumerate(started):
        process.kill()
        process.wait()
        # pytest shows it where the test failed.
        sys.stdout.write(f"---- worker {place}\n{(tmp_path / f'worker-{place}.log').read_text()}")
