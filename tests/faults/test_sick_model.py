"""Scoring that fails for a whole batch, for a while, for good: no document is lost, blamed or counted twice."""

from pathlib import Path

import pytest

from stream.broker import BrokerSettings
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.faults.conftest import Scale
from tests.faults.exact import require_exact
from tests.integration.logs import wait_until
from tests.integration.streaming import StartWorker, as_records, documents, publish, wait_for_documents
from tests.integration.stub_worker import Mood

TOTAL = 2000
SMALL_BATCHES = {"batch_documents": 64}


@pytest.fixture
def mood(tmp_path: Path) -> Path:
    """The file by which the test changes the mood of its classifiers."""
    path = tmp_path / "mood.json"
    Mood(seconds_a_batch=0.01).write(path)
    return path


def log(tmp_path: Path, worker: int = 0) -> str:
    return (tmp_path / f"worker-{worker}.log").read_text()


@pytest.mark.timeout(120)
def test_batches_that_fail_as_a_whole_are_scored_text_by_text(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, mood: Path
) -> None:
    Mood(largest_batch=10).write(mood)
    start_worker(mood=str(mood), stream=SMALL_BATCHES)
    publish(kafka, topics, as_records(documents(TOTAL)))
    wait_for_documents(kafka, topics, TOTAL, seconds=60)
    require_exact(kafka, topics, TOTAL)


@pytest.mark.timeout(200)
def test_a_model_that_is_sick_for_a_while_is_waited_for(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, mood: Path, tmp_path: Path, scale: Scale
) -> None:
    worker = start_worker(mood=str(mood), stream=SMALL_BATCHES)
    publish(kafka, topics, as_records(documents(TOTAL)[: TOTAL // 2]))
    wait_for_documents(kafka, topics, 300, seconds=40)
    Mood(sick=True).write(mood)
    publish(kafka, topics, as_records(documents(TOTAL)[TOTAL // 2 :]))
    waits = "waiting for the classifier stage=scoring error=the classifier fails on every text: RuntimeError: the acc"
    tries = scale.sick_seconds  # one a second
    wait_until(lambda: log(tmp_path).count(waits) >= tries, seconds=40 + 2 * tries, what="it tries again and again")
    Mood().write(mood)
    wait_for_documents(kafka, topics, TOTAL, seconds=40)
    assert worker.poll() is None
    require_exact(kafka, topics, TOTAL)


@pytest.mark.timeout(120)
def test_a_model_that_stays_sick_ends_the_worker_with_the_cause_and_the_next_one_goes_on(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, mood: Path, tmp_path: Path
) -> None:
    worker = start_worker(mood=str(mood), stream=SMALL_BATCHES | {"model_patience_seconds": 2})
    publish(kafka, topics, as_records(documents(TOTAL)[: TOTAL // 2]))
    wait_for_documents(kafka, topics, 300, seconds=40)
    Mood(sick=True).write(mood)
    publish(kafka, topics, as_records(documents(TOTAL)[TOTAL // 2 :]))  # a worker with nothing left falls not sick
    assert worker.wait(60) == 1
    *_, cause, fix = log(tmp_path).splitlines()
    assert cause.startswith("the classifier fails on every text: RuntimeError: the accelerator does not answer")
    assert "finsentry promote --rollback" in fix
    assert list(read_topic(kafka, topics.dead_letters)) == [], "no document is to blame"
    start_worker()
    wait_for_documents(kafka, topics, TOTAL, seconds=40)
    require_exact(kafka, topics, TOTAL)
