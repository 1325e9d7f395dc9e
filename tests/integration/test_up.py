"""`finsentry up` as a user runs it: real Kafka, the real bundle, Prometheus and Alertmanager, a page; nothing left."""

import csv
import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest

from deploy.local.processes import Process
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until
from tests.shared import shared

STOPS_WITHIN = 15.0


@pytest.fixture
def finsentry(tmp_path: Path) -> Iterator[Finsentry]:
    """With a Kafka of its own, since `up` brings one, and a free port for the page."""
    commands = Finsentry(tmp_path, {"FINSENTRY_DATA_FOLDER": str(tmp_path / "data"), "FINSENTRY_CONSOLE__PORT": "0"})
    try:
        yield commands
    finally:
        commands.close()


def address(process: Process, role: str) -> str:
    """What `up` printed behind a role that is ready; empty where it is not yet."""
    found = re.search(rf"^{role}\s+(?:ready|is up).*?(http://\S+)", process.output(), re.MULTILINE)
    return found[1] if found else ""


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


def processes_in(folder: Path) -> list[str]:
    """The command lines of processes that have this folder in them or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command or f"FINSENTRY_DATA_FOLDER={folder}/data".encode() in environment:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def write_archive(path: Path, rows: int) -> None:
    """Headlines over ninety days with ten days of bad news from banks; two rows have no day, one stands twice."""
    random = Random(5)
    calm = (
        "{} opens a new branch in Leeds",
        "{} names a new chief financial officer",
        "{} raises its dividend after record profit",
        "Shares of {} little changed in quiet trading",
        "{} wins contract to supply hospitals",
    )
    storm = (
        "{} halts withdrawals as depositors flee",
        "Regulator shuts down {} after run on deposits",
        "{} shares collapse on fears of insolvency",
        "{} cut to junk as losses mount",
    )
    names = [
        f"{first} {second}" for first in ("Alder", "Birch", "Cedar", "Dorn", "Elm") for second in ("Bank", "Trust")
    ]
    start = datetime(2021, 1, 4, tzinfo=UTC)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Time", "Headlines"])
        for place in range(rows):
            day = place * 90 // rows
            text = random.choice(storm if 60 <= day < 70 and random.random() < 0.8 else calm).format(
                random.choice(names)
            )
            number = random.randrange(10_000)
            writer.writerow([(start + timedelta(days=day)).strftime("%d %B %Y"), f"{text}, says note {number}"])
        writer.writerow(["February 2021", "A month is no day"])
        writer.writerow(["", "No date at all"])
        for _ in range(2):
            writer.writerow(["5 January 2021", "This very row stands twice"])


def replay_and_judge_offline(
    finsentry: Finsentry, archive: Path, *, seconds: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report of a live replay, and what `backtest` says of the scored documents that it left."""
    ran = finsentry.run(
        "up", "--replay", archive, "--speed", "max", "--for", str(seconds), "--report", "out.json", seconds=seconds + 90
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    dumped = finsentry.run("dump", "scored", seconds=60)
    assert dumped.returncode == 0, dumped.stderr
    (finsentry.folder / "scored.jsonl").write_text(dumped.stdout)
    windows = finsentry.run("dump", "windows", seconds=60)
    (finsentry.folder / "windows.jsonl").write_text(windows.stdout)
    judged = finsentry.run("backtest", "--scored", "scored.jsonl", "--json", seconds=90)
    assert judged.returncode == 0, judged.stderr
    return json.loads((finsentry.folder / "out.json").read_text()), json.loads(judged.stdout)


@pytest.mark.timeout(300)
def test_every_row_of_an_archive_is_accounted_for_and_backtest_agrees(finsentry: Finsentry, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive.csv", 1500)
    report, judged = replay_and_judge_offline(finsentry, tmp_path / "archive.csv", seconds=120)

    assert report["rows"] == 1504
    assert report["rejected"] == 2
    assert report["duplicates"] >= 1
    assert report["published"] == 1502
    assert report["counted"] + report["late"] + report["dead_lettered"] + report["duplicates"] == report["published"]
    assert report["peak_memory_bytes"]["worker-1"] > 10_000_000
    assert 0 < report["latency_seconds"]["p50"] <= report["latency_seconds"]["p99"]
    assert report["alerts"] == judged["alerts"]
    assert processes_in(tmp_path) == []


@pytest.mark.timeout(600)
def test_the_three_year_archive_is_through_in_a_minute_and_the_crash_of_2020_is_seen(finsentry: Finsentry) -> None:
    report, judged = replay_and_judge_offline(finsentry, shared("data/replay/guardian.csv"), seconds=240)

    assert (report["rows"], report["rejected"], report["published"]) == (17_800, 40, 17_760)
    assert report["counted"] + report["late"] + report["dead_lettered"] + report["duplicates"] == 17_760
    assert report["alerts"] == judged["alerts"]
    starts = [alert["started_at"][:10] for alert in report["alerts"]]
    assert any("2020-02-17" <= start <= "2020-03-10" for start in starts), starts


@pytest.mark.timeout(900)
def test_a_made_up_crisis_raises_one_alert_in_its_topic_and_resolves(finsentry: Finsentry, tmp_path: Path) -> None:
    process = finsentry.start("up", "--simulate", "--crisis-start", "35", "--crisis-end", "135")
    wait_until(lambda: bool(address(process, "finsentry")), seconds=120, what="up and running")
    page, alertmanager = address(process, "finsentry"), address(process, "alertmanager")

    def firing() -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = get(page + "api/state")["firing"]
        return alerts

    wait_until(lambda: bool(firing()), seconds=180, what="the crisis raised an alert")
    (alert,) = firing()
    assert alert["topic"] == "Financials"
    assert alert["headlines"]

    def held() -> set[str]:
        alerts = get(alertmanager + "api/v2/alerts?active=true")
        return {
            a["labels"].get("topic", "") for a in alerts if a["labels"]["alertname"].startswith("FinSentryNegative")
        }

    wait_until(lambda: held() == {"Financials"}, seconds=30, what="Alertmanager holds the alert of Financials alone")
    wait_until(lambda: not firing(), seconds=420, what="the alert is resolved")
    resolved = get(page + "api/state")["resolved"]
    assert {alert["topic"] for alert in resolved} == {"Financials"}

    began = monotonic()
    process.ask_to_stop()
    wait_until(lambda: not process.running, seconds=STOPS_WITHIN, what="everything has stopped")
    assert monotonic() - began < STOPS_WITHIN
    assert process.exit_code == 0
    assert processes_in(tmp_path) == []


@pytest.mark.timeout(200)
def test_ctrl_c_while_it_starts_leaves_nothing_behind(finsentry: Finsentry, tmp_path: Path) -> None:
    process = finsentry.start("up", "--simulate")
    wait_until(lambda: "kafka" in process.output(), seconds=60, what="Kafka is ready")
    process._signal(signal.SIGINT)
    wait_until(lambda: not process.running, seconds=STOPS_WITHIN, what="everything has stopped")
    assert processes_in(tmp_path) == []


def test_a_bad_archive_is_named_before_anything_is_left_running(finsentry: Finsentry, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    ran = finsentry.run("up", "--replay", "empty.csv", "--for", "60", seconds=20)
    assert ran.returncode == 2
    assert "empty.csv" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert processes_in(tmp_path) == []
