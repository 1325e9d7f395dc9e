"""Offline the same counting, windows and judge; and a picture of them."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from alerts.backtest import Placed, backtest, read_scored, score
from alerts.judge import Judge
from alerts.plot import Event, draw
from alerts.settings import AlertSettings, WindowSettings
from model.classifier import Prediction, TextClassifier
from stream.errors import InputError
from stream.records import Document, ScoredDocument, encode
from stream.scoring import by_one
from stream.settings import StreamSettings
from stream.windows import WindowTable
from tests.unit.alerts import synthetic

START = datetime(2026, 3, 2, tzinfo=UTC)
POLICY: AlertSettings = synthetic.settings()
STREAM = StreamSettings(lateness_minutes=10)


def scored(*, partitions: int = 1) -> list[Placed]:
    """Two stories a minute: four hours of calm, one of crisis, three of calm."""
    placed, offsets, marks = [], [0] * partitions, [START] * partitions
    for place in range(960):
        at = START + timedelta(seconds=30 * place)
        crisis = 480 <= place < 600
        negative = place % 10 < (9 if crisis else 2)
        partition = place % partitions
        marks[partition] = max(marks[partition], at)
        document = ScoredDocument(
            origin=offsets[partition],
            watermark=marks[partition],
            id=str(place),
            story=str(place),
            title=f"headline {place}",
            source="wire",
            published_at=at,
            topic="Financials",
            sentiment="negative" if negative else "neutral",
            probabilities=(0.9, 0.1, 0.0) if negative else (0.1, 0.9, 0.0),
        )
        placed.append(Placed(partition, offsets[partition], document))
        offsets[partition] += 1
    return placed


def dumped(placed: list[Placed]) -> list[bytes]:
    return [
        json.dumps({"partition": p, "offset": o, "timestamp": START.isoformat(), "key": "k"}).encode()[:-1]
        + b',"value":'
        + encode(document)
        + b"}\n"
        for p, o, document in placed
    ]


def test_a_crisis_is_found() -> None:
    found = backtest(scored(), POLICY, STREAM)
    assert [alert.topic for alert in found.alerts] == ["Financials"]
    assert found.alerts[0].state == "resolved"
    assert (found.counted, found.late, found.dead, found.repeats) == (960, 0, 0, 0)


def test_the_last_record_of_each_alert_stands_in_the_order_of_their_starts() -> None:
    found = backtest(scored(), POLICY, STREAM)
    first = found.told[0]
    later = replace(first, id="later", topic="Autos", started_at=first.started_at + timedelta(hours=1))
    assert dataclasses.replace(found, told=[later, *found.told]).alerts == [found.told[-1], later]


def test_it_says_what_the_judge_says_at_once() -> None:
    found = backtest(scored(), POLICY, STREAM)
    table = WindowTable()
    for bucket in found.buckets:
        table.put(bucket)
    assert found.told == Judge(POLICY, lateness_minutes=10).advance(table, found.span[1])


def test_partitions_do_not_change_what_is_found() -> None:
    one, three = backtest(scored(), POLICY, STREAM), backtest(scored(partitions=3), POLICY, STREAM)
    assert one.told == three.told
    assert one.timeline == three.timeline


def test_a_record_that_stands_twice_is_counted_once() -> None:
    again = [placed._replace(offset=960 + place) for place, placed in enumerate(scored()[840:])]
    found = backtest(scored() + again, POLICY, STREAM)
    assert (found.counted, found.repeats) == (960, 120)
    assert found.told == backtest(scored(), POLICY, STREAM).told


def test_the_dump_is_read_back_whole() -> None:
    assert list(read_scored([b"\n", *dumped(scored()), b" \n"], "s.jsonl")) == scored()


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"partition":0}\n', b"\xff\xfe\n", b"[]\n"])
def test_a_line_that_is_no_scored_document_is_named(line: bytes) -> None:
    with pytest.raises(InputError, match=r"s\.jsonl, line 2: not a scored document"):
        list(read_scored([*dumped(scored()[:1]), line], "s.jsonl"))


def test_a_newer_schema_is_refused() -> None:
    line = dumped(scored()[:1])[0].replace(b'"origin"', b'"schema":99,"origin"')
    with pytest.raises(InputError, match="schema 99 is newer"):
        list(read_scored([line], "s.jsonl"))


def test_a_dump_with_a_hole_is_refused() -> None:
    with pytest.raises(InputError, match="offset 11 follows 9"):
        backtest(scored()[:10] + scored()[11:], POLICY, STREAM, name="s.jsonl")
    meant = backtest(scored()[:120] + scored()[840:], POLICY, STREAM, holes=True)
    assert meant.counted == 240
    assert all(point.stories for point in meant.timeline["Financials"])


def test_a_dump_that_begins_later_is_taken() -> None:
    assert backtest(scored()[100:], POLICY, STREAM).counted == 860


def test_an_empty_dump_is_refused() -> None:
    with pytest.raises(InputError, match=r"s\.jsonl holds no document"):
        backtest([], POLICY, STREAM, name="s.jsonl")


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(InputError, match="there is no window 3h"):
        backtest(scored(), POLICY, STREAM, window="3h")


def test_the_timeline_is_of_the_window_asked_for() -> None:
    found = backtest(scored(), POLICY, STREAM, window="1h")
    points = found.timeline["Financials"]
    assert points[-1].stories == 120
    assert all(point.usual_low <= point.baseline <= point.usual_high for point in points)
    assert all(point.lower_bound < point.share for point in points)
    assert max(point.share for point in points) == pytest.approx(0.9)


@pytest.mark.parametrize(("minutes", "window", "step"), [(0, "15m", 5), (449, "15m", 5), (450, "45m", 9)])
def test_the_timeline_is_of_the_longest_window_of_which_the_time_holds_ten(
    minutes: int, window: str, step: int
) -> None:
    longer = WindowSettings(minutes=45, step_minutes=9, min_stories=10)
    policy = synthetic.settings({"15m": synthetic.QUARTER, "45m": longer})
    found = backtest(scored()[: 2 * minutes + 1], policy, STREAM)
    assert found.window == window
    points = [point.at for point in found.timeline.get("Financials", [])]
    assert points == [START + timedelta(minutes=at) for at in range(step, minutes + 1, step)]


def test_the_json_is_plain() -> None:
    found = json.loads(json.dumps(backtest(scored(), POLICY, STREAM).as_json()))
    assert found["counted"] == 960
    assert found["alerts"][0]["topic"] == "Financials"
    assert found["timeline"]["Financials"][0].keys() >= {"at", "share", "baseline", "lower_bound"}


class Pessimist(TextClassifier):
    """Calls every text negative whose number says so."""

    version = "pessimist"

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return [
            Prediction("Financials", 1.0, "negative", (0.9, 0.1, 0.0))
            if text.endswith("down")
            else Prediction("Financials", 1.0, "neutral", (0.1, 0.9, 0.0))
            for text in texts
        ]


def texts() -> Iterator[Document]:
    for place, (_, _, document) in enumerate(scored()):
        assert document.published_at is not None
        yield Document(
            id=document.id,
            story=document.story,
            text=f"{document.title} {'down' if document.sentiment == 'negative' else 'up'}",
            title=f"headline {place}",
            source="wire",
            source_kind="news",
            published_at=document.published_at,
            fetched_at=document.published_at,
        )


def test_texts_are_scored_and_counted_as_in_the_stream() -> None:
    from_texts = backtest(score(texts(), by_one(Pessimist()), STREAM), POLICY, STREAM)
    from_scored = backtest(scored(), POLICY, STREAM)
    assert from_texts.told == from_scored.told
    assert from_texts.buckets == from_scored.buckets


def test_too_few_documents_for_a_picture_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing to draw"):
        draw(backtest(list(scored())[:1], POLICY, STREAM), tmp_path / "t.png")


def test_the_picture_is_drawn_and_no_global_of_matplotlib_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    path = tmp_path / "out.png"
    events = [Event(START, START + timedelta(hours=1), "a storm")]
    draw(backtest(scored(), POLICY, STREAM), path, events=events)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize("name", ["out.doc", "missing/out.png"])
def test_a_picture_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name.rpartition("/")[2]):
        draw(backtest(scored(), POLICY, STREAM), tmp_path / name)
