"""What a broker answers is read as it is meant; real ones are asked in `tests/integration/test_durability.py`."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from stream.broker import BrokerSettings
from stream.replication import PartitionCopies, Replication, TopicCopies, read_replication


def partition(leader: int, replicas: list[int], in_sync: list[int]) -> dict[str, Any]:
    return {"leader_id": leader, "replica_nodes": replicas, "isr_nodes": in_sync}


def test_what_is_down_counts_and_what_is_hidden_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    topics: list[dict[str, Any]] = [
        {"name": "documents", "partitions": [partition(1, [0, 1, 2], [1, 2]), partition(-1, [0], [0])]},
        {"name": "hidden", "partitions": [partition(1, [1], [1])]},
        {"name": "yet to be made", "partitions": []},
    ]
    settings = {"min.insync.replicas": {"value": "2"}, "unclean.leader.election.enable": {"value": "true"}}
    asked: list[str] = []

    def describe_configs(resources: list[Any], **_: object) -> dict[str, Any]:
        asked.extend(resource.name for resource in resources)
        return {"topic": {"documents": settings, "hidden": {}}}

    @contextmanager
    def admin_client(_broker: BrokerSettings) -> Iterator[Any]:
        yield SimpleNamespace(
            describe_cluster=lambda: {"brokers": [{"broker_id": 1}, {"broker_id": 2}, {"broker_id": 3}]},
            describe_topics=lambda _names: topics,
            describe_configs=describe_configs,
        )

    monkeypatch.setattr("stream.replication.admin_client", admin_client)

    copies = (
        PartitionCopies(frozenset({0, 1, 2}), frozenset({1, 2})),
        PartitionCopies(frozenset({0}), frozenset({0}), led=False),
    )
    assert read_replication(BrokerSettings(), [topic["name"] for topic in topics]) == Replication(
        frozenset({0, 1, 2, 3}),
        (
            TopicCopies("documents", copies, min_in_sync=2, unclean=True),
            TopicCopies("hidden", (PartitionCopies(frozenset({1}), frozenset({1})),), min_in_sync=None, unclean=None),
        ),
    )
    assert asked == ["documents", "hidden"]
