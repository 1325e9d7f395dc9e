"""`finsentry backtest` over what a run has scored."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.cli import run
from stream.records import ScoredDocument, encode

START = datetime(2021, 1, 4, tzinfo=UTC)
DAYS = 60
STORM = range(45, 52)
STORIES_A_DAY = 10


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Two months of one topic as `dump` prints it, with a week in which nearly everything is negative."""
    lines = []
    for offset in range(DAYS * STORIES_A_DAY):
        day, place = divmod(offset, STORIES_A_DAY)
        at = START + timedelta(days=day, hours=place)
        negative = place < (9 if day in STORM else 1)
        document = ScoredDocument(
            origin=offset,
            watermark=at,
            id=f"{offset:032x}",
            story=f"{offset:032x}",
            title=f"Story {offset}",
            published_at=at,
            topic="Financials",
            sentiment="negative" if negative else "neutral",
            probabilities=(0.9, 0.05, 0.05) if negative else (0.1, 0.8, 0.1),
        )
        lines.append(b'{"partition":0,"offset":%d,"value":%b}\n' % (offset, encode(document)))
    path = tmp_path / "scored.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_alerts_and_timeline_are_printed_as_json(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "--scored", str(scored), "--json"]) == 0

    result = json.loads(capsys.readouterr().out)
    assert result["counted"] == DAYS * STORIES_A_DAY
    assert {alert["topic"] for alert in result["alerts"]} == {"Financials"}
    started = datetime.fromisoformat(result["alerts"][0]["started_at"])
    assert timedelta(days=STORM.start) <= started - START <= timedelta(days=STORM.stop)


def test_people_get_a_line_an_alert_with_its_reason(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "--scored", str(scored)]) == 0

    said = capsys.readouterr().out
    assert "600 documents counted, 0 late, 0 dead, 0 repeats, from 2021-01-04" in said
    assert "Financials" in said
    assert "  - Story " in said


def test_picture_and_windows_are_written(scored: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("from,to,what\n2021-02-18,2021-02-25,a bank run\n")
    arguments = ["--plot", str(tmp_path / "out.svg"), "--events", str(events), "--windows", str(tmp_path / "w.jsonl")]

    assert run(["backtest", "--scored", str(scored), *arguments]) == 0

    assert "<svg" in (tmp_path / "out.svg").read_text()
    buckets = [json.loads(line) for line in (tmp_path / "w.jsonl").read_text().splitlines()]
    assert sum(bucket["documents"] for bucket in buckets) == DAYS * STORIES_A_DAY


@pytest.mark.parametrize(
    ("text", "said"), [("", "no document"), ("no JSON\n", "line 1"), ('{"partition":0,"offset":0}\n', "line 1")]
)
def test_a_file_that_was_not_dumped_is_refused(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(text)

    assert run(["backtest", "--scored", str(path)]) == 2

    error = capsys.readouterr().err
    assert "other.jsonl" in error
    assert said in error


def test_a_list_of_events_with_other_columns_is_refused(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "--scored", str(scored), "--events", str(scored)]) == 2

    assert "is no list of events" in capsys.readouterr().err


def test_either_an_archive_or_scored_documents(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest"]) == 2
    assert run(["backtest", str(scored), "--scored", str(scored)]) == 2

    assert "either an archive FILE or --scored FILE" in capsys.readouterr().err
