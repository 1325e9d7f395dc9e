"""What could not be processed is listed, shown and put back, each document once."""

import json
import signal
from datetime import UTC, datetime
from typing import Any

import kafka as kafka_client
import msgspec
import pytest

from deploy.commands.dead_letters import UNSAFE
from stream.broker import BrokerSettings
from stream.letter_box import alone
from stream.records import DeadLetter, ScoredDocument, encode
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.commands import Finsentry
from tests.integration.logs import read_windows
from tests.integration.streaming import NOW, StartWorker, as_records, documents, publish, wait_for_documents

POISON = b'{"id": \x1b[2J'
GOOD = documents(40)
UNREADABLE = [msgspec.structs.replace(one, published_at=NOW) for one in documents(3, text="unreadable")]
"""Recent, so that they are not late when they come once more."""


def listed(finsentry: Finsentry, *options: str) -> list[dict[str, Any]]:
    done = finsentry.run("dead-letters", "list", "--json", *options)
    assert done.returncode == 0, done.stderr
    letters: list[dict[str, Any]] = json.loads(done.stdout)
    return letters


@pytest.fixture
def letters(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, finsentry: Finsentry
) -> list[dict[str, Any]]:
    """Three documents that the model of the time could not read, and a record that is no document."""
    worker = start_worker()
    publish(kafka, topics, [*as_records(GOOD), *as_records(UNREADABLE), (b"k", POISON)])
    wait_for_documents(kafka, topics, 44, seconds=40)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return listed(finsentry)


def test_documents_are_put_back_and_counted_once_by_a_model_that_can_read_them(
    kafka: BrokerSettings,
    topics: Topics,
    start_worker: StartWorker,
    finsentry: Finsentry,
    letters: list[dict[str, Any]],
) -> None:
    assert sorted(letter["error"] for letter in letters) == ["DecodeError", "ValueError", "ValueError", "ValueError"]
    before = {(record.partition, record.key) for record in read_topic(kafka, topics.documents)}

    start_worker(fails_on="nothing that is published")
    chosen = ["dead-letters", "resubmit", "--stage", "classify", "--json"]
    planned = json.loads(finsentry.run(*chosen, "--dry-run").stdout)
    assert (len(planned["chosen"]), planned["resubmitted"]) == (3, 0)
    done = finsentry.run(*chosen)
    assert json.loads(done.stdout)["resubmitted"] == 3, done.stderr
    wait_for_documents(kafka, topics, 47, seconds=40)

    records = list(read_topic(kafka, topics.documents))
    assert len(records) == 47
    assert {(record.partition, record.key) for record in records} == before, "a copy left its story's partition"
    buckets, checkpoints = read_windows(kafka, topics)
    assert sum(bucket.documents for bucket in buckets.values()) == 43
    assert sum(checkpoint.dead for checkpoint in checkpoints.values()) == 4

    assert [letter["put_back"] for letter in listed(finsentry, "--stage", "classify")] == ["done"] * 3
    mistyped = finsentry.run("dead-letters", "list", "--stage", "clasify").stdout
    assert "none of these is of stage clasify" in mistyped
    assert "3  classify" in mistyped
    again = json.loads(finsentry.run(*chosen).stdout)
    assert (again["resubmitted"], again["skipped"]) == (0, 3)
    assert json.loads(finsentry.run(*chosen, "--again").stdout)["resubmitted"] == 3


def test_only_one_command_puts_back_at_a_time(
    kafka: BrokerSettings, topics: Topics, finsentry: Finsentry, letters: list[dict[str, Any]]
) -> None:
    chosen = ["dead-letters", "resubmit", "--stage", "classify", "--json"]
    with alone(kafka, topics):
        refused = finsentry.run(*chosen)
        assert (refused.returncode, json.loads(finsentry.run(*chosen, "--dry-run").stdout)["resubmitted"]) == (2, 0)
        assert "another `dead-letters resubmit` is at it" in refused.stderr
    assert json.loads(finsentry.run(*chosen).stdout)["resubmitted"] == 3


def test_what_was_counted_after_all_is_not_put_back(
    kafka: BrokerSettings,
    topics: Topics,
    finsentry: Finsentry,
    letters: list[dict[str, Any]],
    start_worker: StartWorker,
) -> None:
    """As a worker leaves it that dies between a letter and its marker: the next one found the document sound."""
    (sound,) = [
        record for record in read_topic(kafka, topics.scored) if b'"id":"%s"' % GOOD[7].id.encode() in record.value
    ]
    origin = msgspec.json.decode(sound.value, type=ScoredDocument).origin
    letter = DeadLetter(
        topic=topics.documents.name,
        partition=sound.partition,
        offset=origin,
        stage="classify",
        error="ValueError",
        message="the model cannot read this",
        at=NOW,
        value=encode(GOOD[7]),
        key=sound.key,
        appended_at=datetime.fromtimestamp(sound.timestamp / 1000, UTC),
    )
    publish_letter(kafka, topics, letter)
    ahead = msgspec.structs.replace(letter, offset=origin + 10_000)  # nobody has come so far
    publish_letter(kafka, topics, ahead)
    chosen = ["dead-letters", "resubmit", "--stage", "classify", "--json"]
    done = json.loads(finsentry.run(*chosen).stdout)
    assert (done["resubmitted"], done["counted"], done["undecided"]) == (
        3,
        [letter.position],
        [ahead.position],
    )
    start_worker(fails_on="nothing that is published")
    wait_for_documents(kafka, topics, 47, seconds=40)
    assert len(list(read_topic(kafka, topics.documents))) == 47


def publish_letter(broker: BrokerSettings, topics: Topics, letter: DeadLetter) -> None:
    producer = kafka_client.KafkaProducer(**broker.client_options(), acks="all")
    producer.send(topics.dead_letters.name, key=letter.position.encode(), value=encode(letter)).get(30)
    producer.close()


def test_a_letter_is_shown_byte_for_byte_and_safely(finsentry: Finsentry, letters: list[dict[str, Any]]) -> None:
    (poison,) = [letter for letter in letters if letter["stage"] == "decode"]
    raw = finsentry.run("dead-letters", "show", poison["position"], "--raw")
    assert raw.stdout.encode() == POISON
    for command in (["show", poison["position"]], ["list"]):
        shown = finsentry.run("dead-letters", *command)
        assert "DecodeError" in shown.stdout
        assert UNSAFE.search(shown.stdout.replace("\n", "")) is None, "it could clear the terminal"


def test_a_position_without_a_letter_is_named(finsentry: Finsentry, topics: Topics) -> None:
    for command in ("show", "resubmit"):
        done = finsentry.run("dead-letters", command, "finsentry.documents/0/77")
        assert done.returncode == 2
        assert "there is no dead letter finsentry.documents/0/77" in done.stderr
        assert "Traceback" not in done.stderr
    assert "name POSITIONs" in finsentry.run("dead-letters", "resubmit").stderr
