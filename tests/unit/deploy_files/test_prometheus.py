"""Both Prometheus configurations, checked by Prometheus' own tool."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.prometheus.config import render_prometheus
from tests.unit.deploy_files.files import METRICS_PORT, ROOT, read_compose

COMPOSED = ROOT / "deploy/prometheus/prometheus.yaml"
TARGETS = {"worker-1": "127.0.0.1:9101", "worker-2": "127.0.0.1:9102", "alerts": "127.0.0.1:9103"}
RULES = """
groups:
  - name: test
    rules:
      - alert: AlwaysThere
        expr: vector(1)
"""


def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSED.read_text(encoding="utf-8"))
    return found


def promtool(*arguments: str) -> str:
    """Its output. Fails where it refuses."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def milliseconds(duration: str) -> int:
    return int(duration.removesuffix("ms"))


def test_prometheus_reads_what_is_rendered(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    config = tmp_path / "prometheus.yaml"
    config.write_text(render_prometheus(TARGETS, [rules], "127.0.0.1:9093", 1.5), encoding="utf-8")
    assert "1 rules found" in promtool("check", "config", str(config))


def test_workers_share_a_job() -> None:
    config = json.loads(render_prometheus(TARGETS, [], None, 2))
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert jobs == {"worker": ["127.0.0.1:9101", "127.0.0.1:9102"], "alerts": ["127.0.0.1:9103"]}


def test_without_alertmanager_nobody_is_alerted() -> None:
    assert "alerting" not in json.loads(render_prometheus(TARGETS, [], None, 2))


def test_rules_are_found_from_anywhere() -> None:
    (rule,) = json.loads(render_prometheus(TARGETS, [Path("alerts/rules/x.yaml")], None, 2))["rule_files"]
    assert Path(rule).is_absolute()


@given(st.floats(min_value=0.0001, max_value=3600, allow_nan=False))
def test_a_scrape_never_takes_longer_than_its_interval(seconds: float) -> None:
    found = json.loads(render_prometheus(TARGETS, [], None, seconds))["global"]
    assert 1 <= milliseconds(found["scrape_timeout"]) <= milliseconds(found["scrape_interval"])
    assert found["evaluation_interval"] == found["scrape_interval"]


def test_it_is_yaml_too() -> None:
    text = render_prometheus(TARGETS, [], "127.0.0.1:9093", 2)
    assert yaml.safe_load(text) == json.loads(text)


def test_prometheus_reads_the_one_for_compose() -> None:
    promtool("check", "config", "--syntax-only", str(COMPOSED))


def test_compose_has_every_role_that_is_scraped() -> None:
    services = read_compose()["services"]
    roles = {name for name, service in services.items() if service["image"].startswith("finsentry")}
    jobs = {job["job_name"]: job for job in composed()["scrape_configs"]}
    assert set(jobs) - {"prometheus"} == roles
    for role in roles:
        for static in jobs[role].get("static_configs", ()):
            assert static["targets"] == [f"{role}:{METRICS_PORT}"]
        for found in jobs[role].get("dns_sd_configs", ()):
            assert (found["names"], found["port"]) == ([role], int(METRICS_PORT))


def test_compose_mounts_what_its_configuration_names() -> None:
    services = read_compose()["services"]
    mounts = [volume.split(":")[1] for volume in services["prometheus"]["volumes"]]
    assert composed()["rule_files"] == ["/etc/prometheus/rules/*.yaml"]
    assert any(path.startswith("/etc/prometheus/rules/") and path.endswith(".yaml") for path in mounts)
    assert f"--config.file={mounts[0]}" in services["prometheus"]["command"]
    (alertmanager,) = composed()["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert alertmanager.split(":")[0] in services
