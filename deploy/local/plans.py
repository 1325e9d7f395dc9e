"""The processes of a run on one machine: what each is launched with, and how to tell that it is ready."""

import http.client
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from alerts import ALERTMANAGER_CONFIG, RULES
from deploy.local.folders import RunFolder
from deploy.local.processes import Process, free_ports
from deploy.local.supervisor import Plan
from deploy.prometheus.config import render_prometheus
from deploy.settings import variable

HOST = "127.0.0.1"
PROBE_SECONDS = 1.0
PROMETHEUS_KEEPS = "15d"


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy that the environment names does not reach this machine's loopback."""


def answers(url: str) -> bool:
    """Whether a GET of `url`, a loopback address of ours, is answered with a 2xx."""
    try:
        with _direct.open(url, timeout=PROBE_SECONDS):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException):
        return False


def fetch_metrics(port: int) -> str:
    """What a role serves at `/metrics`; empty where it does not answer now."""
    try:
        with _direct.open(f"http://{HOST}:{port}/metrics", timeout=PROBE_SECONDS) as answer:
            text: str = answer.read().decode()
            return text
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException):
        return ""


def role_plan(
    name: str, command: str, port: int, folder: RunFolder, environment: Mapping[str, str], *, shown: str = ""
) -> Plan:
    """A role of `finsentry` that serves `/ready` on `port`."""
    variables = {**environment, variable("metrics.host"): HOST, variable(f"metrics.{command}"): str(port)}
    return Plan(
        name,
        lambda: Process([sys.executable, "-m", "deploy", command], log=folder.log(name), environment=variables),
        lambda: answers(f"http://{HOST}:{port}/ready"),
        shown=shown,
    )


def simulation_plan(port: int, folder: RunFolder, options: Sequence[str]) -> Plan:
    """The simulated web on `port`."""
    command = [sys.executable, "-m", "deploy.local.simulation", "--port", str(port), *options]
    return Plan(
        "simulation",
        lambda: Process(command, log=folder.log("simulation")),
        lambda: answers(f"http://{HOST}:{port}/ready"),
        shown=f"http://{HOST}:{port}/",
    )


def find_prometheus() -> str | None:
    """The program, where it is installed."""
    return shutil.which("prometheus")


def find_alertmanager() -> str | None:
    """The name of the program: Debian's, or the one of its makers."""
    return next((name for name in ("prometheus-alertmanager", "alertmanager") if shutil.which(name)), None)


def alertmanager_plan(program: str, port: int, folder: RunFolder) -> Plan:
    """Alertmanager with the project's routes."""
    command = [
        program,
        f"--config.file={ALERTMANAGER_CONFIG}",
        f"--storage.path={folder.of('alertmanager')}",
        f"--web.listen-address={HOST}:{port}",
        "--cluster.listen-address=",  # alone, so no port for its peers
        "--log.level=warn",
    ]
    return Plan(
        "alertmanager",
        lambda: Process(command, log=folder.log("alertmanager")),
        lambda: answers(f"http://{HOST}:{port}/-/ready"),
        shown=f"http://{HOST}:{port}/",
    )


def prometheus_plan(
    port: int, folder: RunFolder, targets: Mapping[str, str], alertmanager: str | None, scrape_seconds: float
) -> Plan:
    """Prometheus over the roles' metrics with the project's rules."""
    config = folder.of("prometheus") / "prometheus.yaml"
    config.write_text(render_prometheus(targets, [RULES], alertmanager, scrape_seconds), encoding="utf-8")
    command: list[str | Path] = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder.of('prometheus') / 'data'}",
        f"--storage.tsdb.retention.time={PROMETHEUS_KEEPS}",
        f"--web.listen-address={HOST}:{port}",
        "--log.level=warn",
    ]
    return Plan(
        "prometheus",
        lambda: Process(command, log=folder.log("prometheus")),
        lambda: answers(f"http://{HOST}:{port}/-/ready"),
        shown=f"http://{HOST}:{port}/",
    )


def port_or_free(wanted: int) -> int:
    """`wanted`, or a free port where it is 0."""
    return wanted or free_ports(1)[0]
