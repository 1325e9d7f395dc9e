"""How many cores this process has."""

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of processor time in a period, of the container where there is one: `200000 100000` are two cores."""


def usable_cores(quota: Path = QUOTA) -> int:
    """Cores this process may use: what `taskset`, or the limit of a container, leaves of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(allowed) / int(period))))
    except (OSError, ValueError):  # none here, or `max`: no limit
        return cores
