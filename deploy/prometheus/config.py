"""The Prometheus configuration of a run on one machine. Pure."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

_COUNTED: Final = re.compile(r"-\d+$")

SLOWEST_TIMEOUT: Final = 10.0
"""Prometheus' own default; a timeout must not be longer than the interval."""


def render_prometheus(
    targets: Mapping[str, str], rules: Iterable[Path], alertmanager: str | None, scrape_seconds: float
) -> str:
    """A configuration as Prometheus reads it. JSON, which is YAML too, so that it needs no library.

    `targets` are processes and where they serve metrics: `{"worker-1": "127.0.0.1:9101"}`. A process is scraped under
    the job of its role, its name without the number, as deploy/prometheus/prometheus.yaml has it. Rules are evaluated
    as often as is scraped. `alertmanager` is its host and port; None where there is none.
    """
    roles: dict[str, list[str]] = defaultdict(list)
    for name, address in targets.items():
        roles[_COUNTED.sub("", name)].append(address)
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": _duration(scrape_seconds),
            "scrape_timeout": _duration(min(scrape_seconds, SLOWEST_TIMEOUT)),
            "evaluation_interval": _duration(scrape_seconds),
        },
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [
            {"job_name": role, "static_configs": [{"targets": addresses}]} for role, addresses in roles.items()
        ],
    }
    if alertmanager is not None:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    return json.dumps(config, indent=2) + "\n"


def _duration(seconds: float) -> str:
    """As Prometheus writes it: whole milliseconds, at least one."""
    return f"{max(1, round(seconds * 1000))}ms"
