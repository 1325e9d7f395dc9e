"""A cluster of three nodes of which one at a time is down, while workers run."""

import secrets
from collections.abc import Iterator
from random import Random
from time import sleep

import pytest

from stream.broker import BrokerSettings
from stream.topics import Topics, TopicSettings
from tests.faults.cluster import NODES, Cluster
from tests.faults.conftest import Scale
from tests.faults.exact import require_exact
from tests.integration.logs import wait_until
from tests.integration.streaming import SLOW, StartWorker, as_records, documents, publish, wait_for_documents


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def kafka(cluster: Cluster) -> BrokerSettings:
    return cluster.settings


@pytest.fixture
def topic_settings() -> TopicSettings:
    """As in production."""
    return TopicSettings(prefix=f"test-{secrets.token_hex(6)}.", replication_factor=3)


@pytest.mark.timeout(1200)
def test_each_node_in_turn_is_killed_and_comes_back(
    cluster: Cluster, kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, scale: Scale
) -> None:
    random = Random(7)
    workers = [start_worker(**SLOW | {"seconds_a_batch": 0.2}) for _ in range(2)]  # at work when a node dies
    part = scale.cluster_documents // (2 * scale.node_kills + 1)
    total = part * (2 * scale.node_kills + 1)
    parts = [as_records(documents(total)[begin : begin + part]) for begin in range(total - part, -1, -part)]
    publish(kafka, topics, parts.pop())
    wait_for_documents(kafka, topics, part, seconds=60)  # so that the group's own topic stands
    for kill in range(scale.node_kills):
        node = cluster.nodes[kill % NODES]
        wait_until(lambda: cluster.copies(topics) == NODES, seconds=90, what="every node has everything")
        publish(kafka, topics, parts.pop())
        sleep(random.uniform(0.0, 0.6))
        node.kill()
        publish(kafka, topics, parts.pop())
        sleep(random.uniform(1.0, 5.0))
        node.launch()
        node.wait_until_ready(90)
    wait_for_documents(kafka, topics, total, seconds=90 + total / 300)
    assert [worker.poll() for worker in workers] == [None, None], "a worker gave up"
    require_exact(kafka, topics, total)
