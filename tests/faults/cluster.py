"""Three Kafka nodes on this machine, each broker and controller, of which one may be down at a time."""

from pathlib import Path
from types import TracebackType

from deploy.local.kafka import HOST, EmbeddedKafka
from deploy.local.processes import free_ports
from stream.broker import BrokerSettings, admin_client
from stream.topics import Topics

NODES = 3

HEAP_MB = 256
"""Enough for documents of some hundred bytes; three nodes must leave room for the workers."""


class Cluster:
    """A context manager; every topic has three copies, and a write is acknowledged when two hold it."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(2 * NODES)
        voters = ",".join(f"{node}@{HOST}:{ports[NODES + node]}" for node in range(NODES))
        self.nodes = [
            EmbeddedKafka(
                folder / f"node-{node}",
                port=ports[node],
                controller_port=ports[NODES + node],
                heap_mb=HEAP_MB,
                overrides={
                    "node.id": node,
                    "controller.quorum.voters": voters,
                    "min.insync.replicas": 2,
                    "offsets.topic.replication.factor": NODES,
                },
            )
            for node in range(NODES)
        ]

    @property
    def settings(self) -> BrokerSettings:
        return BrokerSettings(bootstrap_servers=",".join(node.bootstrap_servers for node in self.nodes))

    def __enter__(self) -> "Cluster":
        try:
            for node in self.nodes:
                node.launch()  # none answers before two of them run
            for node in self.nodes:
                node.wait_until_ready(90)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
            node.stop()

    def copies(self, topics: Topics) -> int:
        """How many nodes hold all that stands in the partition that is worst off."""
        with admin_client(self.settings) as client:
            names = [topic.name for topic in topics.all()]
            described = client.describe_topics([*names, "__consumer_offsets"])
        return min(len(partition["isr_nodes"]) for topic in described for partition in topic["partitions"])
