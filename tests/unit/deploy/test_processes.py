"""Processes are stopped as a group, and ports are what they are said to be."""

import socket
import sys
import time
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.lock import LockFile, read_held
from deploy.local.processes import LOG_LIMIT_BYTES, Process, free_ports, port_answers, port_is_taken

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(script: str, log: Path) -> Process:
    return Process([sys.executable, "-c", script], log=log)


def output(process: Process) -> str:
    """What it wrote, once it wrote a line."""
    deadline = time.monotonic() + 20
    while "\n" not in process.output() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process.output()


def test_stop_reaches_the_children_of_the_process(tmp_path: Path) -> None:
    process = python(FAMILY, tmp_path / "log")
    child = Path("/proc") / output(process).strip()
    assert child.exists()

    process.stop()

    deadline = time.monotonic() + 10
    while child.exists() and ") Z " not in (child / "stat").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not child.exists() or ") Z " in (child / "stat").read_text()


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = python(STUBBORN, tmp_path / "log")
    assert output(process) == "up\n"

    process.stop(seconds=0.1)

    assert process.exit_code == -9


def test_output_is_of_this_process_and_not_of_an_earlier_one(tmp_path: Path) -> None:
    for word in ("first", "second"):
        process = python(f"print('{word}')", tmp_path / "log")
        output(process)
        process.stop()

    assert process.output() == "second\n"
    assert (tmp_path / "log").read_text() == "first\nsecond\n"


def test_a_log_that_has_grown_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "role.log").write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))

    python("", tmp_path / "role.log").stop()

    assert (tmp_path / "role.log").read_bytes() == b""
    assert (tmp_path / "role.log.1").stat().st_size == LOG_LIMIT_BYTES + 1


def test_a_log_that_cannot_be_kept_ends_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = python(STUBBORN, tmp_path / "role.log")
    assert output(process) == "up\n"
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 2)
    (tmp_path / "role.log.1").mkdir()  # in its place, as a full disk

    process.limit_log()
    assert process.output() == ""
    (tmp_path / "role.log").unlink()
    process.limit_log()

    assert process.running
    process.kill()


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    process = Process(["/nowhere/server"], log=tmp_path / "log")

    assert output(process) == "/nowhere/server: No such file or directory\n"
    while process.running:
        time.sleep(0.01)
    assert process.exit_code == 1


def test_ports_are_free_until_somebody_listens() -> None:
    first, second = free_ports(2)
    assert first != second
    assert not port_is_taken(first)
    assert not port_answers(first)

    with socket.create_server(("127.0.0.1", first)):
        assert port_is_taken(first)
        assert port_answers(first)


def test_one_at_a_time_holds_a_lock_and_says_something(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    holder, other = LockFile(path), LockFile(path)
    assert read_held(path) is None
    assert holder.acquire()
    assert read_held(path) == ""

    holder.say("127.0.0.1:9092")

    assert not other.acquire()
    assert read_held(path) == "127.0.0.1:9092"
    holder.release()
    assert read_held(path) is None
    assert other.acquire()
    other.release()


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some ten thousand that there are, this many drawn at random would hardly differ."""
    monkeypatch.setattr(processes, "_given", set())
    ports = [port for _ in range(1000) for port in free_ports(2)]
    assert len(set(ports)) == 2000
