"""What wakes people, held by Prometheus' and Alertmanager's own tools."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts import ALERTMANAGER_CONFIG, RULES
from deploy.local.plans import HOST, answers, find_alertmanager
from deploy.local.processes import Process, free_ports
from tests.integration.logs import wait_until


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def route(**labels: str) -> str:
    matchers = [f"{name}={value}" for name, value in labels.items()]
    return run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER_CONFIG}", *matchers).strip()


def test_the_rules_are_sound() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", RULES)


def test_the_rules_fire_and_end_as_promised() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", RULES.with_name("tests.yaml"))


def test_every_alert_is_tested_and_tells_what_to_do() -> None:
    rules, tests = RULES.read_text(), RULES.with_name("tests.yaml").read_text()
    names = re.findall(r"- alert: (\w+)", rules)
    assert [name for name in names if f"alertname: {name}" not in tests] == []
    assert rules.count("summary:") == len(names)
    assert rules.count("action:") == len(names) - 1  # the watchdog asks for nothing


def test_the_routes_are_sound() -> None:
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER_CONFIG)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (
            {"alertname": "FinSentryNegativeSpike", "team": "risk", "severity": "critical", "topic": "Macro"},
            "on-call,risk",
        ),
        ({"alertname": "FinSentryNegativeSpike", "team": "risk", "severity": "warning", "topic": "Macro"}, "risk"),
        ({"alertname": "FinSentryTargetDown", "team": "platform", "severity": "critical"}, "on-call"),
        ({"alertname": "FinSentryDeadLetters", "team": "platform", "severity": "warning"}, "platform"),
        ({"alertname": "FinSentryWatchdog", "team": "platform", "severity": "none"}, "watchdog"),
    ],
)
def test_each_alert_reaches_who_can_act_on_it(labels: dict[str, str], receiver: str) -> None:
    assert route(**labels) == receiver


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Alertmanager that runs with the project's routes."""
    program, folder, (port,) = find_alertmanager(), tmp_path_factory.mktemp("alertmanager"), free_ports(1)
    assert program, "apt-get install prometheus-alertmanager"
    url = f"http://{HOST}:{port}"
    options = (
        f"--config.file={ALERTMANAGER_CONFIG}",
        f"--storage.path={folder}",
        f"--web.listen-address={HOST}:{port}",
    )
    process = Process([program, *options, "--cluster.listen-address="], log=folder / "alertmanager.log")
    try:
        wait_until(lambda: answers(f"{url}/-/ready"), seconds=30, what="Alertmanager is ready")
        yield url
    finally:
        process.kill()


MUTED = [
    {"alertname": "FinSentryLoopStuck", "role": "scoring", "team": "platform"},
    {"alertname": "FinSentryLoopStuck", "role": "aggregation", "team": "platform"},
    {"alertname": "FinSentryLoopStuck", "role": "control", "team": "platform"},
    {"alertname": "FinSentryStageErrors", "stage": "scoring", "error": "KafkaTimeoutError", "team": "platform"},
    {"alertname": "FinSentryLagGrows", "stage": "aggregation", "team": "platform"},
    {"alertname": "FinSentryRebalances", "stage": "scoring", "team": "platform"},
    {"alertname": "FinSentryNegativeSpike", "topic": "Macro", "severity": "warning", "team": "risk"},
]
"""What follows from the lack of a worker, and the warning that a critical alert of its topic replaces."""

TOLD = [
    {"alertname": "FinSentryNoWorker", "severity": "critical", "team": "platform"},
    {"alertname": "FinSentryLoopStuck", "role": "alerts", "team": "platform"},
    {"alertname": "FinSentryLoopStuck", "role": "crawl", "team": "platform"},
    {"alertname": "FinSentryStageErrors", "stage": "alerts", "error": "BrokerError", "team": "platform"},
    {"alertname": "FinSentryNegativeSpike", "topic": "Macro", "severity": "critical", "team": "risk"},
    {"alertname": "FinSentryNegativeSpike", "topic": "IPO", "severity": "warning", "team": "risk"},
]


def test_an_alert_mutes_what_follows_from_it_and_nothing_else(alertmanager: str) -> None:
    amtool = ("amtool", "alert", f"--alertmanager.url={alertmanager}")
    for labels in (*MUTED, *TOLD):
        run(*amtool, "add", *(f"{name}={value}" for name, value in labels.items()))

    def queried(*which: str) -> list[dict[str, str]]:
        return [alert["labels"] for alert in json.loads(run(*amtool, "query", "--output=json", *which))]

    def in_order(alerts: list[dict[str, str]]) -> list[str]:
        return sorted(map(str, (sorted(labels.items()) for labels in alerts)))

    # Alertmanager takes note of what mutes a moment after it has taken the alert.
    wait_until(lambda: len(queried("--inhibited")) >= len(MUTED), seconds=10, what="what follows is muted")
    assert in_order(queried("--inhibited")) == in_order(MUTED)
    assert in_order(queried("--active")) == in_order(TOLD)
