"""What every test may rely on: the settings of the machine do not reach it, and a real Kafka is there for the asking.

One Kafka a worker of the test run, topics of their own for each test.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.kafka import EmbeddedKafka
from stream.broker import BrokerSettings, ensure_topics
from stream.topics import Topics, TopicSettings

# One profile everywhere: a slow machine must not turn a property into a flake, and a found failure must repeat.
settings.register_profile("finsentry", deadline=None, derandomize=True)
settings.load_profile("finsentry")

KEPT = ("FINSENTRY_SHARED",)
"""What steers the tests themselves."""


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own `FINSENTRY_*` variables change no test."""
    for name in list(os.environ):
        if name.startswith("FINSENTRY_") and name not in KEPT:
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
