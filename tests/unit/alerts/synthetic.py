"""Made-up windows: buckets with chosen counts, and streams of them."""

from collections.abc import Iterable

from alerts.settings import AlertSettings, BaselineSettings, DriftSettings, WindowSettings
from stream.records import Bucket, Evidence
from stream.windows import WindowTable, moment_of

EPOCH = 29_030_400
"""A Monday at midnight, in minutes: 2025-03-13 would do as well, but a multiple of every window keeps numbers small."""

QUARTER = WindowSettings(minutes=15, step_minutes=5, min_stories=10)
HOUR = WindowSettings(minutes=60, step_minutes=15, min_stories=10)


def settings(
    windows: dict[str, WindowSettings] | None = None, *, drift: DriftSettings | None = None, fire_after: int = 2
) -> AlertSettings:
    """A policy for streams of some stories a minute that last hours."""
    return AlertSettings(
        windows=windows or {"15m": QUARTER, "1h": HOUR},
        drift=drift or DriftSettings(window=""),
        fire_after=fire_after,
        baseline=BaselineSettings(history_days=1),
    )


def bucket(
    minute: int, stories: int, negative: int, *, topic: str = "Financials", partition: int = 0, applied: int = 0
) -> Bucket:
    """The counts of one minute after `EPOCH`; each negative story is a headline."""
    at = moment_of(EPOCH + minute)
    evidence = tuple(
        Evidence(id=f"{topic}{minute}-{i}", title=f"{topic} {minute} {i}", negative=0.9 - i / 100, published_at=at)
        for i in range(min(negative, 5))
    )
    return Bucket(
        topic=topic,
        minute=at,
        partition=partition,
        applied=applied,
        documents=stories,
        negative=negative,
        neutral=stories - negative,
        stories=stories,
        negative_stories=negative,
        evidence=evidence,
    )


def even(start: int, end: int, stories: int, share: float, *, topic: str = "Financials") -> list[Bucket]:
    """So many stories a minute, the share of negative ones spread evenly."""
    told, buckets = 0, []
    for minute in range(start, end):
        wanted = round((minute - start + 1) * stories * share)
        buckets.append(bucket(minute, stories, wanted - told, topic=topic, applied=minute))
        told = wanted
    return buckets


def table_of(buckets: Iterable[Bucket]) -> WindowTable:
    """A table that holds them."""
    table = WindowTable()
    for item in buckets:
        table.put(item)
    return table
