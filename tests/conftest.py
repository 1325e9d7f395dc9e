"""What every test may rely on: the settings of the machine do not reach it, and a real Kafka is there for the asking.

One Kafka a worker of the test run, topics of their own for each test.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.kafka import EmbeddedKafka
from stream.broker import BrokerSettings, ensure_topics
from stream.topics import Topics, TopicSettings
from tests.faults.cluster import Cluster
from tests.integration.streaming import StartWorker

# One profile everywhere: a slow machine must not turn a property into a flake, and a found failure must repeat.
settings.register_profile("finsentry", deadline=None, derandomize=True)
settings.load_profile("finsentry")


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own `FINSENTRY_*` variables change no test."""
    for name in list(os.environ):
        if name.startswith("FINSENTRY_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The project's root folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def embedded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """The Kafka that the tests of this worker share. Whoever stops or kills one starts an own."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes of its own for each test; a module that gives its workers these overrides `kafka`."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def kafka(embedded_kafka: EmbeddedKafka) -> BrokerSettings:
    """The way to a real broker."""
    return embedded_kafka.settings


@pytest.fixture
def topic_settings() -> TopicSettings:
    """A prefix that no other test has, and the default number of partitions; a test module may override it."""
    return TopicSettings(prefix=f"test-{secrets.token_hex(6)}.")


@pytest.fixture
def topics(kafka: BrokerSettings, topic_settings: TopicSettings) -> Topics:
    """Every topic of the pipeline, empty."""
    topics = Topics(topic_settings)
    ensure_topics(kafka, topics.all())
    return topics


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
