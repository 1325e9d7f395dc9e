"""What the command says of letters; on a real Kafka in `tests/integration/test_dead_letters.py`."""

from datetime import UTC, datetime

import pytest

from deploy.cli import run
from stream.records import DeadLetter, encode
from tests.unit.stream.consumer import FakeConsumer

LETTER = DeadLetter(
    topic="finsentry.documents",
    partition=2,
    offset=1041,
    stage="classify",
    error="ValueError",
    message="the model\x1b[2J cannot",
    at=datetime(2026, 3, 2, 9, 0, 5, tzinfo=UTC),
    value=b"\xff" + "börse ".encode() * 100,
    appended_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
)


@pytest.fixture(autouse=True)
def consumer(monkeypatch: pytest.MonkeyPatch) -> FakeConsumer:
    """The broker of the settings, with one letter in every topic."""
    monkeypatch.setenv("FINSENTRY_KAFKA__BOOTSTRAP_SERVERS", "broker-1:9092")
    made = FakeConsumer(encode(LETTER))
    made.stand_in(monkeypatch)
    return made


def test_a_program_gets_every_field_but_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dead-letters", "list", "--json"]) == 0
    preview = "\ufffd" + ("börse " * 100).encode()[:199].decode("utf-8", "replace")
    assert capsys.readouterr().out == (
        '[{"position":"finsentry.documents/2/1041","at":"2026-03-02T09:00:05Z","stage":"classify",'
        '"error":"ValueError","message":"the model\\u001b[2J cannot","size":701,'
        f'"preview":"{preview}","appended_at":"2026-03-02T09:00:00Z","put_back":null}}]\n'
    )


def test_a_person_gets_lines_that_move_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dead-letters", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "       1  classify  ValueError"
    assert lines[2] == "finsentry.documents/2/1041  2026-03-02 09:00:05  classify  701 bytes"
    assert lines[3] == "    ValueError: the model [2J cannot"


def test_a_topic_that_is_not_there_is_said_at_once(
    consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stream.kafka_sync.SHOWN_SECONDS", 0.0)
    consumer.partitions = set()
    assert run(["dead-letters", "list"]) == 2
    assert "the broker has no topic finsentry.dead-letters yet" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["finsentry.documents/2/1041", "--all"]])
def test_what_is_to_be_put_back_is_named_in_one_way(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dead-letters", "resubmit", *options]) == 2
    assert "POSITIONs" in capsys.readouterr().err
