"""What wakes people, held by Prometheus' and Alertmanager's own tools."""

import re
import subprocess
from pathlib import Path

import pytest

from alerts import ALERTMANAGER_CONFIG, RULES


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
        ({"alertname": "FinSentryNegativeSpike", "team": "risk", "severity": "critical", "topic": "Macro"}, "on-call"),
        ({"alertname": "FinSentryNegativeSpike", "team": "risk", "severity": "warning", "topic": "Macro"}, "risk"),
        ({"alertname": "FinSentryTargetDown", "team": "platform", "severity": "critical"}, "on-call"),
        ({"alertname": "FinSentryDeadLetters", "team": "platform", "severity": "warning"}, "platform"),
        ({"alertname": "FinSentryWatchdog", "team": "platform", "severity": "none"}, "watchdog"),
    ],
)
def test_each_alert_reaches_who_can_act_on_it(labels: dict[str, str], receiver: str) -> None:
    assert route(**labels) == receiver
