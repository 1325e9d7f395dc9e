"""Scoring and aggregation on the real broker: nothing lost and nothing counted twice, whatever dies."""

import signal
from collections import Counter
from pathlib import Path
from random import Random
from time import sleep

import msgspec
import pytest

from stream.broker import BrokerSettings
from stream.records import DeadLetter
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.logs import read_windows
from tests.integration.streaming import (
    StartWorker,
    accounted,
    as_records,
    counts,
    documents,
    offline,
    publish,
    slow_for,
    wait_for_documents,
)


@pytest.mark.timeout(240)
def test_workers_killed_at_random_leave_the_windows_of_an_offline_count(
    kafka: BrokerSettings,
    topics: Topics,
    start_worker: StartWorker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    random = Random(11)
    total = 12_000
    slow = slow_for(12.0, total, workers=2)
    workers = [start_worker(**slow), start_worker(**slow)]
    publish(kafka, topics, as_records(documents(total)))
    wait_for_documents(kafka, topics, 1, seconds=60)
    for _ in range(4):
        sleep(random.uniform(1.0, 3.0))
        victim = random.randrange(2)
        workers[victim].send_signal(signal.SIGKILL)
        workers[victim].wait()
        workers[victim] = start_worker(**slow)
    assert accounted(kafka, topics) < total, "there was work at every kill"
    wait_for_documents(kafka, topics, total, seconds=100)

    buckets, checkpoints = read_windows(kafka, topics)
    assert sum(bucket.documents for bucket in buckets.values()) == total
    assert sum(bucket.stories for bucket in buckets.values()) == total - total // 3
    assert counts(buckets) == counts(offline(kafka, topics))
    assert Counter(c.late + c.dead for c in checkpoints.values()) == Counter({0: len(checkpoints)})
    kept = {
        (record.partition, msgspec.json.decode(record.value)["origin"]) for record in read_topic(kafka, topics.scored)
    }
    assert len(kept) == total
    assert not list(scratch.iterdir()), "a worker in a crash loop must not fill the disk with its leavings"


def test_a_worker_stops_cleanly_and_the_next_one_goes_on_without_repeating(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker
) -> None:
    first = start_worker()
    publish(kafka, topics, as_records(documents(500)))
    wait_for_documents(kafka, topics, 500, seconds=40)
    sleep(1.0)  # a commit follows its batch within half a second
    first.send_signal(signal.SIGTERM)
    assert first.wait(40) == 0

    start_worker()
    publish(kafka, topics, as_records(documents(1000)[500:]))
    wait_for_documents(kafka, topics, 1000, seconds=40)
    _, checkpoints = read_windows(kafka, topics)
    assert sum(c.repeats for c in checkpoints.values()) == 0


def test_documents_are_read_however_who_published_them_compressed_them(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker
) -> None:
    records = as_records(documents(500))
    for number, compression in enumerate((None, "gzip", "snappy", "lz4", "zstd")):
        publish(kafka, topics, records[number * 100 : (number + 1) * 100], compression=compression)
    assert len(list(read_topic(kafka, topics.documents))) == 500, "commands read them too"
    start_worker()
    wait_for_documents(kafka, topics, 500, seconds=60)
    _, checkpoints = read_windows(kafka, topics)
    assert sum(c.counted for c in checkpoints.values()) == 500


def test_poison_goes_to_dead_letters_with_its_cause_and_the_rest_is_counted(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker
) -> None:
    good = as_records(documents(300))
    unreadable = as_records(documents(1, text="unreadable"))
    poison = [(b"k", b"{"), (b"k", b"\xff\xfe"), (b"k", b'{"id": 1}'), (b"k", b"x" * 10_000_000), *unreadable]
    publish(kafka, topics, good[:150] + poison + good[150:])
    start_worker()
    wait_for_documents(kafka, topics, 305, seconds=60)

    letters = [msgspec.json.decode(record.value, type=DeadLetter) for record in read_topic(kafka, topics.dead_letters)]
    by_value = {letter.value[:40]: letter for letter in letters}
    assert {(letter.stage, letter.error) for letter in letters} == {
        ("decode", "DecodeError"),
        ("decode", "ValidationError"),
        ("decode", "TooLarge"),
        ("classify", "ValueError"),
    }
    assert by_value[b"{"].topic == topics.documents.name
    assert len(by_value[b"x" * 40].value) == 10_000_000
    _, checkpoints = read_windows(kafka, topics)
    assert (sum(c.dead for c in checkpoints.values()), sum(c.counted for c in checkpoints.values())) == (5, 300)


def test_input_that_is_all_bad_stops_the_worker_with_the_cause_and_takes_nothing(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    publish(kafka, topics, [(str(place).encode(), b"{") for place in range(400)])
    worker = start_worker()
    assert worker.wait(40) == 1
    log = (tmp_path / "worker-0.log").read_text()
    assert "documents in a row cannot be processed" in log
    assert "DecodeError" in log
    assert "Traceback" not in log
    assert list(read_topic(kafka, topics.dead_letters)) == []
