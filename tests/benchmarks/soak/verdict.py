"""Whether a run was flat and exact. Pure.

Trends are those of the worker that is never killed, after a time in which it fills up: the others are young whenever
one looks. Slopes are medians of all pairs' slopes (Theil and Sen), which a rebalance's spikes do not move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tests.benchmarks.soak.samples import Sample

MEMORY_SHARE = 0.05
"""How much of its memory a worker may seem to gain over what is looked at: allocators move by a few percent."""
MEMORY_MB = 5.0
HANDLES = 3.0
"""Connections come and go with every rebalance."""
LATENCY_FACTOR = 1.5
LATENCY_SECONDS = 0.1
TAIL_FACTOR = 2.0
"""A sample's p99 is that of the few slowest of some hundred documents, read from buckets each twice as wide as the one
below: it seems to double where a few documents more cross a bound."""
TAIL_SECONDS = 0.25
"""The width of the bucket below 0.5 s, where p99 was seen to lie: 0.5 s may then become 1.25 s, which is within the
product's goal of 1.5 s at half load."""
LAG_SECONDS = 2.0
"""Of the load: after a kill, this much more waits for a while."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was to hold."""

    name: str
    holds: bool
    said: str


def slope_an_hour(seconds: Sequence[float], values: Sequence[float]) -> float:
    """The median slope over all pairs of points; 0 for fewer than two."""
    at, value = np.asarray(seconds, dtype=float), np.asarray(values, dtype=float)
    first, second = np.triu_indices(len(at), k=1)
    apart = at[second] - at[first]
    slopes = (value[second] - value[first])[apart > 0] / apart[apart > 0]
    return float(np.median(slopes)) * 3600 if len(slopes) else 0.0


def judge_growth(samples: Sequence[Sample], *, warm_up: float, rate: float) -> list[Finding]:
    """Memory, handles, latency and lag from `warm_up` seconds on, under a load of `rate` documents a second.

    Of latency the median and p99.
    """
    later = [sample for sample in samples if sample.seconds >= warm_up]
    steady = [sample for sample in later if sample.process == "steady"]
    if len(steady) < 6:
        return [Finding("samples", False, f"only {len(steady)} after {warm_up:.0f} s: run it longer")]
    hours = (steady[-1].seconds - steady[0].seconds) / 3600
    seconds = [sample.seconds for sample in steady]
    memory = slope_an_hour(seconds, [sample.resident_mb for sample in steady])
    mean = sum(sample.resident_mb for sample in steady) / len(steady)
    handles = slope_an_hour(seconds, [sample.handles for sample in steady])
    return [
        Finding(
            "memory",
            memory * hours <= max(MEMORY_MB, MEMORY_SHARE * mean),
            f"{memory:+.1f} MB an hour, at {mean:.0f} MB ({memory * hours:+.1f} MB over {60 * hours:.0f} minutes)",
        ),
        Finding("handles", handles * hours <= HANDLES, f"{handles:+.1f} an hour, at {steady[-1].handles}"),
        _flat("latency", [sample.p50 for sample in steady], LATENCY_FACTOR, LATENCY_SECONDS),
        # Not one p99 over all documents, nor one of each minute: a kill costs the documents of the partitions that it
        # leaves up to 10 s until somebody takes them over, a third of them for a sixth of each minute, so those would
        # say how long a take-over takes. A kill spoils the samples of some 15 s, three of a minute's twelve; a median
        # bears half.
        _flat("p99", [sample.p99 for sample in steady], TAIL_FACTOR, TAIL_SECONDS),
        _lag(later, rate),
    ]


def _flat(name: str, seconds: Sequence[float | None], factor: float, allowed: float) -> Finding:
    """Whether the median of samples in the last third is within `factor` and `allowed` seconds of the first's."""
    known = [value for value in seconds if value is not None]
    if len(known) < 6:
        return Finding(name, False, "it counted next to nothing")
    begin, end = _ends(known)
    said = f"median {1000 * begin:.0f} ms in the first third, {1000 * end:.0f} ms in the last"
    return Finding(name, end <= factor * begin + allowed, said)


def _lag(later: Sequence[Sample], rate: float) -> Finding:
    moments: dict[float, float] = {}
    for sample in later:
        if sample.lag is not None:
            moments[sample.seconds] = moments.get(sample.seconds, 0.0) + sample.lag
    if len(moments) < 6:
        return Finding("lag", False, "no worker said how far it was")
    begin, end = _ends([moments[moment] for moment in sorted(moments)])
    said = f"median {begin:.0f} documents in the first third, {end:.0f} in the last"
    return Finding("lag", end <= LATENCY_FACTOR * begin + LAG_SECONDS * rate, said)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    third = max(1, len(values) // 3)
    return median(values[:third]), median(values[-third:])


def judge_counts(
    *, published: int, scored: int, accounted: int, different: Sequence[object], letters: int
) -> list[Finding]:
    """Whether each document stands in `scored`, and the windows are those of an offline count."""
    shown = ", ".join(str(one) for one in different[:3])
    return [
        Finding("scored", scored == published, f"{scored:,} different documents of {published:,} published"),
        Finding("accounted", accounted == published, f"{accounted:,} counted or late of {published:,}"),
        Finding("windows", not different, "as the offline count" if not different else f"{len(different)}: {shown}"),
        Finding("dead letters", letters == 0, f"{letters}"),
    ]


def verdict_lines(findings: Sequence[Finding]) -> list[str]:
    """Markdown."""
    lines = ["| | | |", "|---|---|---|"]
    lines += [f"| {one.name} | {'holds' if one.holds else '**fails**'} | {one.said} |" for one in findings]
    return lines
