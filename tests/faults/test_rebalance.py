"""Members come and go while a batch is being scored."""

import signal
from pathlib import Path

import pytest

from stream.broker import BrokerSettings
from stream.topics import Topics
from tests.faults.exact import require_exact
from tests.integration.logs import read_windows, wait_until
from tests.integration.streaming import StartWorker, as_records, documents, publish, wait_for_documents
from tests.integration.stub_worker import Mood


@pytest.mark.timeout(180)
def test_partitions_that_are_lost_in_the_middle_of_a_batch_are_scored_by_the_next_owner(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    total = 3000
    mood = tmp_path / "mood.json"
    Mood(seconds_a_batch=0.05).write(mood)
    options = {"mood": str(mood), "stream": {"batch_documents": 64}}
    first = start_worker(**options)
    items = as_records(documents(total))
    publish(kafka, topics, items[: total // 2])
    wait_for_documents(kafka, topics, 200, seconds=40)
    Mood(seconds_a_batch=5.0).write(mood)  # longer than a rebalance waits for a batch: a third of the session
    publish(kafka, topics, items[total // 2 :])
    second = start_worker(**options)
    log = tmp_path / "worker-0.log"
    lost = "partitions lost with a batch in flight stage=scoring"
    wait_until(lambda: lost in log.read_text(), seconds=40, what="a batch is in flight when the second one joins")
    # The first leaves with a batch in flight, too.
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    Mood(seconds_a_batch=0.05).write(mood)
    wait_for_documents(kafka, topics, total, seconds=60)
    assert second.poll() is None
    require_exact(kafka, topics, total)
    _, checkpoints = read_windows(kafka, topics)
    assert sum(checkpoint.repeats for checkpoint in checkpoints.values()) == 0, "acknowledged, and not committed"
