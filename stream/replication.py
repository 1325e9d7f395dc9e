"""How Kafka keeps topics now: who has copies of a partition, which are in sync, and what a write waits for."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import kafka.admin

from stream.broker import BrokerSettings, admin_client

OFFSETS = "__consumer_offsets"
"""Kafka's own topic of what groups have committed; it does not stand before a group has first joined."""


@dataclass(frozen=True, slots=True)
class PartitionCopies:
    """Ids of brokers. `led` is False where no broker takes reads or writes of the partition."""

    replicas: frozenset[int]
    in_sync: frozenset[int]
    led: bool = True


@dataclass(frozen=True, slots=True)
class TopicCopies:
    """A topic that stands, with one partition or more; a setting is None where this user may not see it."""

    name: str
    partitions: tuple[PartitionCopies, ...]
    min_in_sync: int | None
    """`min.insync.replicas`: with fewer copies in sync, the broker refuses writes."""
    unclean: bool | None
    """`unclean.leader.election.enable`: a copy that lags may take over, and what it lacks is lost."""

    @property
    def factor(self) -> int:
        """Copies of the partition that has fewest."""
        return min(len(partition.replicas) for partition in self.partitions)


@dataclass(frozen=True, slots=True)
class Replication:
    """The cluster's brokers, also those that are down, and topics."""

    brokers: frozenset[int]
    topics: tuple[TopicCopies, ...]


def read_replication(settings: BrokerSettings, names: Iterable[str]) -> Replication:
    """Those of the topics that stand. Raises `BrokerError` where Kafka cannot be reached or refuses."""
    with admin_client(settings) as client:
        brokers = {broker["broker_id"] for broker in client.describe_cluster()["brokers"]}
        standing = [entry for entry in client.describe_topics(list(names)) if entry["partitions"]]
        resources = [kafka.admin.ConfigResource("TOPIC", entry["name"]) for entry in standing]
        config = client.describe_configs(resources, config_filter="all")["topic"] if resources else {}
    topics = []
    for entry in standing:
        values = {key: found["value"] for key, found in config[entry["name"]].items()}
        least, unclean = values.get("min.insync.replicas"), values.get("unclean.leader.election.enable")
        topics.append(
            TopicCopies(
                entry["name"],
                tuple(_partition(found) for found in entry["partitions"]),
                min_in_sync=int(least) if least else None,
                unclean=unclean == "true" if unclean else None,
            )
        )
    # Brokers before 4.0 do not tell of those that are down.
    brokers |= {broker for topic in topics for partition in topic.partitions for broker in partition.replicas}
    return Replication(frozenset(brokers), tuple(topics))


def _partition(found: dict[str, Any]) -> PartitionCopies:
    return PartitionCopies(
        frozenset(found["replica_nodes"]), frozenset(found["isr_nodes"]), led=found["leader_id"] >= 0
    )
