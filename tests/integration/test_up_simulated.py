"""`finsentry up --simulate`: a crisis is made up, crawled, scored, counted, judged, shown, and over."""

import json
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deploy.local.processes import Process
from tests.integration.commands import Finsentry, processes_in
from tests.integration.logs import wait_until

STOPS_WITHIN = 60.0
"""It takes some 5 s; roles that do not stop in 12 s are killed, and that is told."""


def address(process: Process, role: str) -> str:
    """What `up` printed behind a role that is ready; empty where it is not yet."""
    found = re.search(rf"^{role}\s+(?:ready|is up).*?(http://\S+)", process.output(), re.MULTILINE)
    return found[1] if found else ""


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


@pytest.mark.timeout(900)
def test_a_made_up_crisis_raises_one_alert_in_its_topic_and_resolves(alone: Finsentry, tmp_path: Path) -> None:
    # With this seed, whenever in a minute it begins, the alert comes within 140 s and goes 2 minutes later; other news
    # may by chance keep it for as long again.
    process = alone.start("up", "--simulate", "--seed", "27", "--crisis-start", "10", "--crisis-end", "90")
    wait_until(lambda: bool(address(process, "finsentry")), seconds=120, what="up and running")
    page, alertmanager = address(process, "finsentry"), address(process, "alertmanager")

    def firing() -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = get(page + "api/state")["firing"]
        return alerts

    wait_until(lambda: bool(firing()), seconds=300, what="the crisis raised an alert")
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

    process.ask_to_stop()
    wait_until(lambda: not process.running, seconds=STOPS_WITHIN, what="everything has stopped")
    assert process.exit_code == 0
    assert not re.search(r"^(crawl|worker|alerts)\S* .*killed", process.output(), re.MULTILINE), "what they did is kept"
    assert processes_in(tmp_path) == []


@pytest.mark.timeout(200)
def test_ctrl_c_while_it_starts_leaves_nothing_behind(alone: Finsentry, tmp_path: Path) -> None:
    process = alone.start("up", "--simulate")
    wait_until(lambda: "kafka" in process.output(), seconds=60, what="Kafka is ready")
    process._signal(signal.SIGINT)
    wait_until(lambda: not process.running, seconds=STOPS_WITHIN, what="everything has stopped")
    assert processes_in(tmp_path) == []
