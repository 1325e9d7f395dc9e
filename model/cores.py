"""What the processor has: cores for this process, and exact sums of small products."""

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of processor time in a period, of the container where there is one: `200000 100000` are two cores."""

FEATURES = Path("/proc/cpuinfo")
VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""What Linux calls an x86 processor's products of bytes whose sums have 32 bits."""


def usable_cores(quota: Path = QUOTA) -> int:
    """Cores this process may use: what `taskset`, or the limit of a container, leaves of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(allowed) / int(period))))
    except (OSError, ValueError):  # none here, or `max`: no limit
        return cores


def has_vnni(features: Path = FEATURES) -> bool:
    """Whether every core has VNNI; False where that cannot be known, as on other systems than Linux."""
    try:
        lines = [line for line in features.read_text(encoding="utf-8").splitlines() if line.startswith("flags")]
    except (OSError, ValueError):
        return False
    return bool(lines) and all(VNNI.intersection(line.split()) for line in lines)
