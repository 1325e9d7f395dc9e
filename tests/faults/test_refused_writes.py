"""A broker that takes no scored documents: the worker says why it ends, and the next one goes on."""

from pathlib import Path

import kafka.admin
import pytest

from stream.broker import BrokerSettings, admin_client
from stream.topics import Topics
from tests.faults.exact import require_exact
from tests.integration.streaming import SLOW, StartWorker, as_records, documents, publish, wait_for_documents


def take_records_up_to(kafka_settings: BrokerSettings, topic: str, size: int) -> None:
    with admin_client(kafka_settings) as client:
        client.alter_configs([kafka.admin.ConfigResource("TOPIC", topic, {"max.message.bytes": str(size)})])


@pytest.mark.timeout(120)
def test_writes_that_are_refused_for_good_end_the_worker_with_the_cause_and_lose_nothing(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    total = 3000
    worker = start_worker(**SLOW | {"stream": {"batch_documents": 64, "restarts": 3}})
    items = as_records(documents(total))
    publish(kafka, topics, items[: total // 2])
    wait_for_documents(kafka, topics, 200, seconds=40)
    take_records_up_to(kafka, topics.scored.name, 50)
    publish(kafka, topics, items[total // 2 :])  # so that there is something to refuse
    assert worker.wait(60) == 1
    *_, last, fix = (tmp_path / "worker-0.log").read_text().splitlines()
    assert last.startswith("scoring failed 4 times in a row: "), last
    assert "MessageSizeTooLarge" in last
    assert "finsentry doctor" in fix
    take_records_up_to(kafka, topics.scored.name, 1_000_000)
    start_worker(**SLOW)
    wait_for_documents(kafka, topics, total, seconds=60)
    require_exact(kafka, topics, total)
