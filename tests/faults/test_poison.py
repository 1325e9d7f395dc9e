"""Poison of every kind, up to the largest value that the broker takes: named, listed, put back; too much is a stop."""

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from stream.broker import BrokerSettings
from stream.records import SCHEMA, DeadLetter, Document, encode
from stream.snapshot import read_topic
from stream.topics import Topics, TopicSettings
from tests.integration.commands import Finsentry
from tests.integration.logs import read_windows
from tests.integration.streaming import NOW, StartWorker, as_records, documents, publish, wait_for_documents

GOOD = 300
RECORD_OVERHEAD = 100
"""Of a batch that holds one record, with its key: 75 bytes and some."""


class Poison(NamedTuple):
    value: bytes
    stage: str
    error: str
    message: str
    """What the letter's message must match."""


def recent(text: str, **changes: object) -> Document:
    """A document that is not late when it comes once more."""
    return msgspec.structs.replace(documents(1)[0], **{"text": text, "published_at": NOW, **changes})


def kinds(largest: int) -> dict[str, Poison]:
    """By a name that is also the record's key."""
    plain = json.loads(encode(recent("Shares fell")))
    text = json.dumps(plain | {"text": ""}).encode()
    return {
        "cut": Poison(encode(recent("Shares fell"))[:-20], "decode", "DecodeError", "truncated"),
        "no text at all": Poison(b"\xff\xfe\x00", "decode", "DecodeError", "malformed"),
        "nothing": Poison(b"", "decode", "EmptyValue", "no value"),
        "nested": Poison(b"[" * 100_000, "decode", "ValidationError", "Expected `object`"),
        "a list": Poison(b"[1, 2]", "decode", "ValidationError", "Expected `object`, got `array`"),
        "wrong type": Poison(json.dumps(plain | {"text": 5}).encode(), "decode", "ValidationError", r"\$\.text"),
        "no such day": Poison(
            json.dumps(plain | {"published_at": "2026-02-30T00:00:00Z"}).encode(),
            "decode",
            "ValidationError",
            r"\$\.published_at",
        ),
        "no zone": Poison(
            json.dumps(plain | {"published_at": "2026-01-30T00:00:00"}).encode(), "decode", "NaiveTime", "time zone"
        ),
        "no date": Poison(
            json.dumps(plain | {"published_at": "0001-01-01T00:00:00+02:00"}).encode(),
            "decode",
            "ImpossibleTime",
            "before 1900",
        ),
        "newer": Poison(encode(recent("Shares fell", schema=SCHEMA + 1)), "decode", "UnknownSchema", "schema 2"),
        "blank": Poison(encode(recent(text=" \n\t ")), "decode", "EmptyText", "empty"),
        "huge text": Poison(encode(recent("x" * 1_500_000)), "decode", "TooLarge", "1500000 bytes"),
        "largest": Poison(
            text.replace(b'"text": ""', b'"text": "' + b"x" * (largest - RECORD_OVERHEAD - len(text)) + b'"'),
            "decode",
            "TooLarge",
            "the limit is 2000000",
        ),
        "huge id": Poison(encode(recent("Shares fell", id="x" * 1_500_000)), "decode", "TooLarge", "longer than 500"),
        "huge story": Poison(
            encode(recent("Shares fell", story="x" * 900_000)), "decode", "TooLarge", "longer than 500"
        ),
        "k" * 1000: Poison(encode(recent("Shares fell")), "decode", "TooLarge", "the key is longer than 500"),
        "unreadable": Poison(encode(recent("This is unreadable")), "classify", "ValueError", "cannot read"),
        "not finite": Poison(encode(recent("This is incalculable")), "classify", "NotFinite", "nan"),
    }


@pytest.fixture
def finsentry(kafka: BrokerSettings, topic_settings: TopicSettings, tmp_path: Path) -> Iterator[Finsentry]:
    environment = {
        "FINSENTRY_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "FINSENTRY_TOPICS__PREFIX": topic_settings.prefix,
        "FINSENTRY_DATA_FOLDER": str(tmp_path / "data"),
    }
    with closing(Finsentry(tmp_path, environment)) as commands:
        yield commands


def read_letters(kafka: BrokerSettings, topics: Topics) -> list[DeadLetter]:
    records = list(read_topic(kafka, topics.dead_letters))
    letters = [msgspec.json.decode(record.value, type=DeadLetter) for record in records]
    assert [record.key.decode() for record in records] == [letter.position for letter in letters]
    return [letter for letter in letters if letter.put_back is None]


@pytest.mark.timeout(240)
def test_each_is_named_with_its_position_and_put_back(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, finsentry: Finsentry
) -> None:
    poison = kinds(topics.max_document_bytes)
    poisoned = [(name.encode(), kind.value) for name, kind in poison.items()]
    good = as_records(documents(GOOD))
    publish(kafka, topics, good[: GOOD // 2] + poisoned + good[GOOD // 2 :])
    worker = start_worker()
    wait_for_documents(kafka, topics, GOOD + len(poison), seconds=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0

    stands_at = {
        record.key.decode(): f"{topics.documents.name}/{record.partition}/{record.offset}"
        for record in read_topic(kafka, topics.documents)
        if record.key.decode() in poison
    }
    letters = {letter.key.decode(): letter for letter in read_letters(kafka, topics)}
    assert letters.keys() == poison.keys()
    for name, kind in poison.items():
        letter = letters[name]
        assert (letter.stage, letter.error) == (kind.stage, kind.error), name
        assert re.search(kind.message, letter.message), f"{name}: {letter.message}"
        assert letter.position == stands_at[name], name
        assert letter.value == kind.value, name

    listed = json.loads(finsentry.run("dead-letters", "list", "--json").stdout)
    assert {letter["position"]: letter["error"] for letter in listed} == {
        stands_at[name]: kind.error for name, kind in poison.items()
    }
    done = finsentry.run("dead-letters", "resubmit", "--all", "--json")
    assert json.loads(done.stdout)["resubmitted"] == len(poison), done.stderr

    start_worker(fails_on="nothing here", nan_on="nothing here")
    wait_for_documents(kafka, topics, GOOD + 2 * len(poison), seconds=60)
    by_name = Counter(letter.key.decode() for letter in read_letters(kafka, topics))
    assert by_name == {name: 1 if kind.stage == "classify" else 2 for name, kind in poison.items()}
    values = {letter.value for letter in read_letters(kafka, topics) if letter.key == b"largest"}
    assert values == {poison["largest"].value}, "it is as it was"
    buckets, checkpoints = read_windows(kafka, topics)
    assert sum(bucket.documents for bucket in buckets.values()) == GOOD + 2
    assert sum(checkpoint.late for checkpoint in checkpoints.values()) == 0
    assert sum(checkpoint.dead for checkpoint in checkpoints.values()) == 2 * len(poison) - 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("bad", "limits", "cause"),
    [
        (2, {"poison_window": 50, "poison_consecutive": 100}, r"\d+ of the latest 50 documents cannot be processed"),
        (1, {"poison_window": 5000, "poison_consecutive": 20}, "20 documents in a row cannot be processed"),
    ],
    ids=["ratio", "consecutive"],
)
def test_a_stream_that_turns_bad_stops_the_worker_and_raised_limits_let_it_through(
    kafka: BrokerSettings,
    topics: Topics,
    start_worker: StartWorker,
    tmp_path: Path,
    bad: int,
    limits: dict[str, int],
    cause: str,
) -> None:
    start = as_records(documents(200))
    worker = start_worker(stream=limits)
    publish(kafka, topics, start)
    wait_for_documents(kafka, topics, len(start), seconds=40)
    if bad == 1:
        turned = [(b"k", b"{")] * 60
    else:  # two of three, so that there are never many in a row
        turned = [
            (b"k", b"{") if place % 3 else (b"k", record)
            for place, (_, record) in enumerate(as_records(documents(180)))
        ]
    publish(kafka, topics, turned)
    assert worker.wait(40) == 1
    *_, last, fix = (tmp_path / "worker-0.log").read_text().splitlines()
    assert re.match(cause, last), last
    assert "DecodeError" in last
    assert "stream.poison_ratio" in fix
    start_worker(stream={"poison_ratio": 1.0, "poison_consecutive": 1000})
    wait_for_documents(kafka, topics, len(start) + len(turned), seconds=40)
    dead = sum(value == b"{" for _, value in turned)
    assert len({letter.position for letter in read_letters(kafka, topics)}) == dead
    _, checkpoints = read_windows(kafka, topics)
    assert sum(checkpoint.dead for checkpoint in checkpoints.values()) == dead
