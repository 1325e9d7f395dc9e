"""`finsentry up --replay`: every row of an archive is accounted for, and an offline judge says the same."""

import csv
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from ingest.dates import parse_date
from stream.records import CHECKPOINT_KEY, Bucket
from tests.integration.commands import Finsentry, processes_in
from tests.shared import shared

BAD_ROWS = (["February 2021", "A month is no day"], ["", "No date at all"])
TWICE = ["5 January 2020", "This very row stands twice"]

CUT = ("2019-11-01", "2020-04-15")
"""Of the business desk's archive: what the judge must know of the past, and the crash of February 2020."""


class Archive(NamedTuple):
    """A replay and what must come of it."""

    path: Path
    rows: int
    rejected: int
    crash: tuple[str, str]
    """An alert starts between these days."""


def real_rows() -> list[list[str]]:
    """The rows of `CUT`. Skips where the archive is absent."""
    with shared("data/replay/guardian.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    found = []
    for row in rows:
        with suppress(ValueError):  # a month alone is no day
            if CUT[0] <= parse_date(row[0]).isoformat() < CUT[1]:
                found.append(row)
    return found


def made_up_rows(count: int = 1500) -> list[list[str]]:
    """Headlines over ninety days with ten days of bad news from banks."""
    random = Random(5)
    calm = (
        "{} opens a new branch in Leeds",
        "{} names a new chief financial officer",
        "{} raises its dividend after record profit",
        "Shares of {} little changed in quiet trading",
        "{} wins contract to supply hospitals",
    )
    storm = (
        "{} halts withdrawals as depositors flee",
        "Regulator shuts down {} after run on deposits",
        "{} shares collapse on fears of insolvency",
        "{} cut to junk as losses mount",
    )
    names = [
        f"{first} {second}" for first in ("Alder", "Birch", "Cedar", "Dorn", "Elm") for second in ("Bank", "Trust")
    ]
    start = datetime(2020, 1, 6, tzinfo=UTC)
    rows = []
    for place in range(count):
        day = place * 90 // count
        text = random.choice(storm if 60 <= day < 70 and random.random() < 0.8 else calm).format(random.choice(names))
        rows.append([(start + timedelta(days=day)).strftime("%d %B %Y"), f"{text}, says note {place}"])
    return rows


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Months of the business desk's archive, or made-up ones where that is absent, and rows that are odd."""
    try:
        rows, crash = real_rows(), ("2020-02-17", "2020-03-10")
    except pytest.skip.Exception:
        rows, crash = made_up_rows(), ("2020-03-06", "2020-03-16")
    rows += [*BAD_ROWS, TWICE, TWICE]
    with (tmp_path / "archive.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["Time", "Headlines"], *rows])
    return Archive(tmp_path / "archive.csv", len(rows), len(BAD_ROWS), crash)


def replay_and_judge_offline(alone: Finsentry, archive: Path, *, seconds: int) -> dict[str, Any]:
    """The report of a live replay. What `backtest` makes of the scored documents that it left must be the same."""
    ran = alone.run(
        "up", "--replay", archive, "--speed", "max", "--for", str(seconds), "--report", "out.json", seconds=seconds + 90
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for topic in ("scored", "windows"):
        dumped = alone.run("dump", topic, seconds=60)
        assert dumped.returncode == 0, dumped.stderr
        (alone.folder / f"{topic}.jsonl").write_text(dumped.stdout)
    judged = alone.run("backtest", "--scored", "scored.jsonl", "--windows", "offline.jsonl", "--json", seconds=90)
    assert judged.returncode == 0, judged.stderr

    report: dict[str, Any] = json.loads((alone.folder / "out.json").read_text())
    assert report["counted"] + report["late"] + report["dead_lettered"] + report["duplicates"] == report["published"]
    assert report["alerts"] == json.loads(judged.stdout)["alerts"]
    live = last_buckets(alone.folder / "windows.jsonl")
    offline = [msgspec.json.decode(line, type=Bucket) for line in lines(alone.folder / "offline.jsonl")]
    assert sum(bucket.documents for bucket in offline) == report["counted"]
    assert live == {(bucket.partition, bucket.key): bucket for bucket in offline}
    return report


def last_buckets(dump: Path) -> dict[tuple[int, str], Bucket]:
    """What stands in `windows`: of each bucket the record with the highest `applied`, as readers take it."""
    buckets: dict[tuple[int, str], Bucket] = {}
    for line in lines(dump):
        record = msgspec.json.decode(line)
        if not record["key"].startswith(CHECKPOINT_KEY) and record["value"] is not None:
            bucket = msgspec.convert(record["value"], Bucket)
            held = buckets.get((bucket.partition, bucket.key))
            if held is None or held.applied <= bucket.applied:
                buckets[bucket.partition, bucket.key] = bucket
    return buckets


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


@pytest.mark.timeout(400)
def test_every_row_is_accounted_for_backtest_agrees_and_the_crash_is_seen(
    alone: Finsentry, archive: Archive, tmp_path: Path
) -> None:
    report = replay_and_judge_offline(alone, archive.path, seconds=240)

    assert (report["rows"], report["rejected"]) == (archive.rows, archive.rejected)
    assert report["published"] == archive.rows - archive.rejected
    assert report["duplicates"] >= 1
    assert report["peak_memory_bytes"]["worker-1"] > 10_000_000
    assert 0 < report["latency_seconds"]["p50"] <= report["latency_seconds"]["p99"]
    starts = [alert["started_at"][:10] for alert in report["alerts"]]
    assert any(archive.crash[0] <= start <= archive.crash[1] for start in starts), starts
    assert processes_in(tmp_path) == []


def test_a_bad_archive_is_named_before_anything_is_left_running(alone: Finsentry, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    ran = alone.run("up", "--replay", "empty.csv", "--for", "60", seconds=60)
    assert ran.returncode == 2
    assert "empty.csv" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert processes_in(tmp_path) == []
