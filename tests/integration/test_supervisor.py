"""The run on one machine survives the death of its parts, shows it, and leaves nothing when it dies itself."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import Process
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until

UP_SECONDS = 150.0
AGAIN_SECONDS = 60.0

ROLES = {"kafka": "kafka.Kafka", "worker-1": "-m deploy worker", "alerts": "-m deploy alerts"}
"""What stands in the command line of each role that is killed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Process]:
    """One `finsentry up` with a Kafka of its own, for all tests here in their order."""
    commands = Finsentry(folder, {"FINSENTRY_DATA_FOLDER": str(folder / "data"), "FINSENTRY_CONSOLE__PORT": "0"})
    process = commands.start("up", "--simulate")
    try:
        wait_until(lambda: "finsentry     is up" in process.output(), seconds=UP_SECONDS, what="up and running")
        yield process
    finally:
        commands.close()


def processes(folder: Path) -> dict[int, str]:
    """The command line of every process of this run, by its id; a zombie is none."""
    mine = f"FINSENTRY_DATA_FOLDER={folder}/data".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mine in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return {pid: command for pid, command in found.items() if command}


def pid_of(folder: Path, role: str) -> int:
    (pid,) = (pid for pid, command in processes(folder).items() if ROLES[role] in command)
    return pid


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_is_killed_is_shown_and_started_again(run: Process, folder: Path, role: str) -> None:
    killed = pid_of(folder, role)

    os.kill(killed, signal.SIGKILL)

    again = re.compile(
        rf"^{role} +ended \(signal 9\), starts again in .*^{role} +ready again", re.MULTILINE | re.DOTALL
    )
    wait_until(lambda: bool(again.search(run.output())), seconds=AGAIN_SECONDS, what=f"{role} is ready again")
    assert pid_of(folder, role) != killed
    assert run.running


@pytest.mark.timeout(300)
def test_nothing_outlives_a_supervisor_that_is_killed(run: Process, folder: Path) -> None:
    assert len(processes(folder)) > len(ROLES)

    os.kill(run.pid, signal.SIGKILL)

    wait_until(lambda: processes(folder) == {}, seconds=15, what="every process has ended")
