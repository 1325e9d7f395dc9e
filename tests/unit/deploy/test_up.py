"""`finsentry up` says what it cannot have before it starts anything."""

import socket
import threading
from collections.abc import Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dashboards.console.settings import ConsoleSettings
from deploy import cli
from deploy.local.kafka import LOCK, EmbeddedKafka
from deploy.local.lock import LockFile
from deploy.local.plans import answers
from deploy.local.processes import free_ports
from deploy.local.replaying import Replaying
from deploy.local.run import LocalRun, RunOptions
from deploy.report import Report
from deploy.settings import Settings
from stream.broker import BrokerSettings


@pytest.fixture(autouse=True)
def monitoring_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prometheus", "alertmanager"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINSENTRY_CONSOLE__PORT", "0")


@pytest.mark.parametrize(
    ("role", "key"),
    [
        ("console", "console.port"),
        ("prometheus", "local.prometheus_port"),
        ("alertmanager", "local.alertmanager_port"),
    ],
)
def test_a_port_that_is_taken_is_said_with_its_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, role: str, key: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv(f"FINSENTRY_{key.upper().replace('.', '__')}", str(port))

        assert cli.run(["up", "--simulate"]) == 2

    message, fix = capsys.readouterr().err.splitlines()
    assert message == f"finsentry: port {port} of 127.0.0.1, for {role}, is taken"
    assert f"set {key}" in fix
    assert not (tmp_path / "data").exists()


def test_made_up_news_does_not_come_among_a_brokers_real_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FINSENTRY_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")

    assert cli.run(["up", "--simulate"]) == 2

    message, fix = capsys.readouterr().err.splitlines()
    assert message == "finsentry: --simulate would publish made-up news into the topics of broker:9092"
    assert "topics.prefix" in fix
    assert not (tmp_path / "data").exists()


def made(tmp_path: Path, **settings: Any) -> LocalRun:
    archive = tmp_path / "archive.csv"
    archive.write_text("time,text\n2020-03-02,Bank fails\n")
    return LocalRun(RunOptions(replay=archive), Settings(data_folder=tmp_path / "data", **settings), lambda *_: None)


@pytest.mark.parametrize(
    ("console", "window"),
    [
        (ConsoleSettings(), "7d"),
        (ConsoleSettings(windows=("15m", "1h")), "1h"),
        (ConsoleSettings(window="24h"), None),
    ],
)
def test_a_replay_is_shown_in_the_longest_window_unless_another_was_chosen(
    tmp_path: Path, console: ConsoleSettings, window: str | None
) -> None:
    run = made(tmp_path, console=console)
    assert run._environment(BrokerSettings()).get("FINSENTRY_CONSOLE__WINDOW") == window


def test_an_embedded_kafka_is_not_signed_in_to(tmp_path: Path) -> None:
    run = made(tmp_path, kafka=BrokerSettings(security_protocol="SASL_SSL", sasl_username="jane"))
    told = run._environment(BrokerSettings(bootstrap_servers="127.0.0.1:9092"))
    assert told["FINSENTRY_KAFKA__BOOTSTRAP_SERVERS"] == "127.0.0.1:9092"
    assert told["FINSENTRY_KAFKA__SECURITY_PROTOCOL"] == "PLAINTEXT"
    assert told["FINSENTRY_KAFKA__SASL_USERNAME"] == ""


class Ended(Replaying):
    """A replay of which two of three rows have been accounted for, and which asks for an end once it has said so."""

    def __init__(self, run: LocalRun) -> None:
        self._run = run
        self._told = False

    finished = True

    def look(self, pids: Mapping[str, int]) -> str:
        if self._told:
            self._run._stop.set()
        return f"{len(pids)} roles"

    def report(self) -> Report:
        self._told = True
        return Report(3, 0, 3, 0, 2, 0, 0, 1.0, {}, {}, [])

    result = None


def test_a_replay_that_stays_up_still_says_what_is_missing(tmp_path: Path) -> None:
    run = made(tmp_path)
    report = run._look_after(Ended(run))
    assert report is not None
    assert report.gaps == ["3 published, but 2 counted, late, dead or duplicate"]


def test_a_replay_leaves_the_folder_of_a_kafka_that_is_just_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path)
    folder = run._folder.kafka
    monkeypatch.setattr(run._supervisor, "start", lambda _plan: False)
    other = LockFile(folder / LOCK)
    for held in (True, False):
        assert other.acquire()
        (folder / "log").touch()
        if not held:
            other.release()
        run._start_kafka(EmbeddedKafka(folder))
        assert (folder / "log").exists() == held


def test_a_proxy_stands_between_nobody_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert answers(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
