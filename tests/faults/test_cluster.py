"""A cluster of three nodes of which one at a time is down, while workers run and die."""

import secrets
from pathlib import Path
from random import Random
from time import sleep

import pytest

from stream.broker import BrokerSettings
from stream.topics import Topics, TopicSettings
from tests.faults.cluster import NODES, Cluster
from tests.faults.conftest import Scale
from tests.faults.crew import Crew
from tests.faults.exact import require_exact
from tests.integration.logs import wait_until
from tests.integration.streaming import (
    SLOW,
    StartWorker,
    accounted,
    as_records,
    documents,
    publish,
    wait_for_documents,
    with_poison,
)


@pytest.fixture
def kafka(cluster: Cluster) -> BrokerSettings:
    return cluster.settings


@pytest.fixture
def topic_settings() -> TopicSettings:
    """As in production."""
    return TopicSettings(prefix=f"test-{secrets.token_hex(6)}.", replication_factor=3)


@pytest.mark.timeout(1200)
def test_each_node_in_turn_is_killed_and_a_worker_while_it_is_down(
    cluster: Cluster, kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, scale: Scale, tmp_path: Path
) -> None:
    random = Random(7)
    slow = SLOW | {"seconds_a_batch": 0.2}  # at work when a node dies
    crew = Crew(start_worker, tmp_path, 2, **slow)
    part = scale.cluster_documents // (2 * scale.node_kills + 1)
    total = part * (2 * scale.node_kills + 1)
    parts = [
        with_poison(as_records(documents(total)[begin : begin + part])) for begin in range(total - part, -1, -part)
    ]
    dead = sum(map(len, parts)) - total
    published = len(parts[-1])
    publish(kafka, topics, parts.pop())
    wait_for_documents(kafka, topics, published, seconds=60)  # so that the group's own topic stands
    for kill in range(scale.node_kills):
        node = cluster.nodes[kill % NODES]
        place = random.randrange(2)
        wait_until(lambda: cluster.copies(topics) == NODES, seconds=90, what="every node has everything")
        crew.wait_until_it_holds(place)
        published += len(parts[-1]) + len(parts[-2])
        publish(kafka, topics, parts.pop())
        sleep(random.uniform(0.0, 0.6))
        node.kill()
        publish(kafka, topics, parts.pop())
        crew.kill(place)
        assert accounted(kafka, topics) < published, "it is killed while there is work"
        crew.join(place, **slow)
        sleep(random.uniform(1.0, 5.0))
        node.launch()
        node.wait_until_ready(90)
    wait_for_documents(kafka, topics, total + dead, seconds=90 + total / 300)
    crew.require_alive()
    require_exact(kafka, topics, total, dead=dead)
