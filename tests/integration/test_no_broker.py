"""A broker is configured and not there: every command that needs it says so, says what to do, and ends."""

import json
import socket
from collections.abc import Iterator, Mapping

import pytest

from deploy.local.processes import Process
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until

COMMANDS = (
    "up --simulate",
    "up --replay archive.csv",
    "crawl",
    "worker",
    "alerts",
    "replay archive.csv",
    "dump scored",
    "archive parquet",
    "dead-letters list",
    "promote --status",
)

SECONDS = 60.0
"""They look for the broker for 10 s; ten that start together on a loaded machine need a few more."""

FEED = {"type": "feed", "name": "wire", "url": "http://127.0.0.1:9/wire.xml"}


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """An address that is taken and does not listen, so that nobody can come to listen there meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="module")
def commands(nobody: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finsentry]:
    folder = tmp_path_factory.mktemp("nobody")
    (folder / "archive.csv").write_text("date,text\n2020-03-09,Bank shares crash\n")
    roles = ("worker", "crawl", "alerts", "console")
    environment = {
        "FINSENTRY_KAFKA__BOOTSTRAP_SERVERS": nobody,
        "FINSENTRY_DATA_FOLDER": str(folder / "data"),
        "FINSENTRY_TOPICS__PREFIX": "nobody.",
        "FINSENTRY_CONSOLE__PORT": "0",
        "FINSENTRY_INGEST__SOURCES": json.dumps([FEED]),
        **{f"FINSENTRY_METRICS__{role.upper()}": "0" for role in roles},
    }
    commands = Finsentry(folder, environment)
    yield commands
    commands.close()


@pytest.fixture(scope="module")
def started(commands: Finsentry) -> Mapping[str, Process]:
    """All of them at once, because each does nothing but wait."""
    return {command: commands.start(*command.split()) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_broker_is_said(started: Mapping[str, Process], nobody: str, command: str) -> None:
    process = started[command]

    wait_until(lambda: not process.running, seconds=SECONDS, what=f"{command} has ended")

    assert process.exit_code == 1
    assert "Traceback" not in process.output()
    message, fix = process.output().splitlines()[-2:]
    assert message.startswith(f"finsentry: no Kafka broker answers at {nobody}")
    assert fix.startswith("  check that it runs and that kafka.bootstrap_servers is right")


def test_a_console_without_a_broker_serves_its_page_and_ends_when_it_is_told_to(commands: Finsentry) -> None:
    process = commands.start("console")
    wait_until(lambda: "starting again role=console" in process.output(), seconds=SECONDS, what="it misses the broker")
    assert "The console is at http://127.0.0.1:" in process.output()

    process.ask_to_stop()

    wait_until(lambda: not process.running, seconds=SECONDS, what="the console has ended")
    assert process.exit_code == 0
