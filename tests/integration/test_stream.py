"""Scoring and aggregation on the real broker: nothing lost and nothing counted twice, whatever dies."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic, sleep

import kafka
import msgspec
import pytest

from stream.aggregation import PartitionCounter
from stream.broker import BrokerSettings
from stream.records import Bucket, Checkpoint, DeadLetter, Document, ScoredDocument, encode
from stream.settings import StreamSettings
from stream.snapshot import TopicReader, furthest, read_topic
from stream.topics import Topics
from tests.integration.logs import read_windows

NOW = datetime.now(UTC)
StartWorker = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_worker(kafka: BrokerSettings, topics: Topics, tmp_path: Path) -> Iterator[StartWorker]:
    started: list[subprocess.Popen[str]] = []

    def start(**options: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.integration.stub_worker", kafka.bootstrap_servers, topics.group("")]
        with (tmp_path / f"worker-{len(started)}.log").open("w") as log:
            process = subprocess.Popen([*command, json.dumps(options)], stdout=log, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for place, process in enumerate(started):
        process.kill()
        process.wait()
        # pytest shows it where the test failed.
        sys.stdout.write(f"---- worker {place}\n{(tmp_path / f'worker-{place}.log').read_text()}")


def documents(count: int, *, text: str = "Shares of a lender fell") -> list[Document]:
    """Documents in event order over two hours; every third is a copy of the story before it."""
    return [
        Document(
            id=f"{place:032x}",
            text=f"{text} {place}",
            source="wire",
            source_kind="news",
            published_at=NOW - timedelta(hours=2) + timedelta(seconds=7000 * place / count),
            fetched_at=NOW,
            story=f"{place - (place % 3 == 2):032x}",
        )
        for place in range(count)
    ]


def publish(broker: BrokerSettings, topics: Topics, values: list[tuple[bytes, bytes]]) -> None:
    producer = kafka.KafkaProducer(**broker.client_options(), linger_ms=20, max_request_size=30_000_000)
    for key, value in values:
        producer.send(topics.documents.name, key=key, value=value)
    producer.flush(60)
    producer.close()


def as_records(items: list[Document]) -> list[tuple[bytes, bytes]]:
    return [(item.story.encode(), encode(item)) for item in items]


def wait_for_documents(broker: BrokerSettings, topics: Topics, total: int, *, seconds: float) -> None:
    """Waits until `total` documents are accounted for; fails the test with how many were."""
    deadline = monotonic() + seconds
    checkpoints: dict[int, Checkpoint] = {}
    with TopicReader(broker, topics.windows) as reader:
        while (found := sum(c.counted + c.late + c.dead for c in checkpoints.values())) < total:
            assert monotonic() < deadline, f"after {seconds:.0f} s {found} of {total} documents are accounted for"
            sleep(0.2)
            checkpoints = furthest(reader.read(), checkpoints)


def offline(broker: BrokerSettings, topics: Topics) -> dict[tuple[int, str], Bucket]:
    """What one undisturbed reading of `scored` counts."""
    settings = StreamSettings()
    counters: dict[int, PartitionCounter] = {}
    buckets = {}
    for record in read_topic(broker, topics.scored):
        counter = counters.setdefault(
            record.partition,
            PartitionCounter(
                record.partition, lateness=timedelta(minutes=settings.lateness_minutes), evidence=settings.evidence
            ),
        )
        counter.count(record.offset, msgspec.json.decode(record.value, type=ScoredDocument))
        for bucket in counter.changed():
            buckets[record.partition, bucket.key] = bucket
    return buckets


def counts(buckets: dict[tuple[int, str], Bucket]) -> dict[tuple[int, str], tuple[int, ...]]:
    return {
        key: (b.documents, b.negative, b.neutral, b.positive, b.stories, b.negative_stories)
        for key, b in buckets.items()
    }


@pytest.mark.timeout(240)
def test_workers_killed_at_random_leave_the_windows_of_an_offline_count(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker
) -> None:
    random = Random(11)
    total = 12_000
    slow = {"seconds_a_batch": 0.02, "stream": {"batch_documents": 64}}
    workers = [start_worker(**slow), start_worker(**slow)]
    publish(kafka, topics, as_records(documents(total)))
    for _ in range(4):
        sleep(random.uniform(1.0, 3.0))
        victim = random.randrange(2)
        workers[victim].send_signal(signal.SIGKILL)
        workers[victim].wait()
        workers[victim] = start_worker(**slow)
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


def test_a_worker_stops_cleanly_and_the_next_one_goes_on_without_repeating(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker
) -> None:
    first = start_worker()
    publish(kafka, topics, as_records(documents(500)))
    wait_for_documents(kafka, topics, 500, seconds=40)
    sleep(1.0)  # a commit follows its batch within half a second
    began = monotonic()
    first.send_signal(signal.SIGTERM)
    assert first.wait(15) == 0
    assert monotonic() - began < 10

    start_worker()
    publish(kafka, topics, as_records(documents(1000)[500:]))
    wait_for_documents(kafka, topics, 1000, seconds=40)
    _, checkpoints = read_windows(kafka, topics)
    assert sum(c.repeats for c in checkpoints.values()) == 0


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


def test_a_worker_that_is_killed_is_replaced(kafka: BrokerSettings, topics: Topics, start_worker: StartWorker) -> None:
    first, _second = start_worker(), start_worker()
    publish(kafka, topics, as_records(documents(200)))
    wait_for_documents(kafka, topics, 200, seconds=40)
    first.send_signal(signal.SIGKILL)
    publish(kafka, topics, as_records(documents(400)[200:]))
    wait_for_documents(kafka, topics, 400, seconds=40)
