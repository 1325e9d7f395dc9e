"""A topic that ends before what was read of it: going on would count new documents as repeats, so the worker stops."""

import re
import signal
from pathlib import Path
from time import sleep

import pytest

from stream.broker import BrokerSettings, admin_client, ensure_topics
from stream.topics import Topics
from tests.integration.logs import wait_until
from tests.integration.streaming import StartWorker, as_records, documents, publish, wait_for_documents


def make_anew(kafka: BrokerSettings, topics: Topics, name: str) -> None:
    with admin_client(kafka) as client:
        client.delete_topics([name])
        wait_until(lambda: name not in client.list_topics(), seconds=20, what="the topic is gone")
    sleep(1.0)  # the broker deletes what was in it a little later
    ensure_topics(kafka, topics.all())


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("which", "reader"), [("documents", "scored"), ("scored", "windows")])
def test_a_worker_that_has_come_further_than_its_topic_ends_with_the_cause(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path, which: str, reader: str
) -> None:
    worker = start_worker()
    publish(kafka, topics, as_records(documents(200)))
    wait_for_documents(kafka, topics, 200, seconds=40)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    topic = getattr(topics, which)
    make_anew(kafka, topics, topic.name)

    after = start_worker()
    assert after.wait(80) == 1  # it tries for some 25 s
    *_, last, fix = (tmp_path / "worker-1.log").read_text().splitlines()
    assert re.match(rf"{re.escape(topic.name)}, partition \d ends at offset 0, but {reader} has come to \d+", last), (
        last
    )
    assert "topics.prefix" in fix
