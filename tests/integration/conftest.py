"""`finsentry` commands against this test's own broker and topics."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker import BrokerSettings
from stream.topics import TopicSettings
from tests.integration.commands import Finsentry

LONGEST = ("test_up_simulated.py", "test_faults.py", "test_up_replay.py")
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
