"""Real servers for the tests: one Kafka a worker of the test run, topics of their own for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import EmbeddedKafka
from stream.broker import BrokerSettings, ensure_topics
from stream.topics import Topics, TopicSettings
from tests.integration.commands import Finsentry


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
