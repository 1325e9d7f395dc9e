"""Timing contenders side by side: round after round in turn, so that a noisy machine is noisy to all of them alike."""

import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

Contender = Callable[[], int]
"""Does a piece of work and returns how many items it was."""


def rates(contenders: Mapping[str, Contender], *, rounds: int) -> dict[str, list[float]]:
    """Items a second of each contender in each round, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            began = perf_counter()
            items = contenders[name]()
            if number:
                found[name].append(items / (perf_counter() - began))
    # The order was rotated, but each list is in the order of the rounds.
    return found


def table(found: Mapping[str, list[float]], *, unit: str) -> list[str]:
    """A Markdown table: the median of each contender, and the median over rounds of its ratio to each baseline.

    The first contender is the baseline of the first ratio, the second of the second.
    """
    first, second, *_ = found
    lines = [f"| | {unit} | × {first} | × {second} |", "|---|---|---|---|"]
    for name, values in found.items():
        ratios = [median(a / b for a, b in zip(values, found[base], strict=True)) for base in (first, second)]
        lines.append(f"| {name} | {median(values):,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f} |")
    return lines


def machine() -> str:
    """What it was measured on, without a name."""
    model = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{len(os.sched_getaffinity(0))} cores of {model}, load {os.getloadavg()[0]:.1f} when it began"
