"""The doctor on a real cluster of three: what it says of copies, as nodes go and settings change."""

from collections.abc import Callable
from contextlib import suppress

import kafka as client
import pytest

from deploy.check import Check
from deploy.durability import judge
from stream.broker import BrokerSettings, admin_client, ensure_topics
from stream.errors import BrokerError
from stream.replication import OFFSETS, read_replication
from stream.topics import Topics, TopicSettings
from tests.faults.cluster import NODES, Cluster
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def kafka(cluster: Cluster) -> BrokerSettings:
    return cluster.settings


def commit(broker: BrokerSettings, group: str) -> None:
    """Has Kafka make its own topic of commits, as any group does that begins."""
    consumer = client.KafkaConsumer(bootstrap_servers=broker.servers(), group_id=group)
    place = client.TopicPartition(group, 0)
    consumer.assign([place])
    consumer.commit({place: client.OffsetAndMetadata(0, "", -1)})
    consumer.close()


def test_the_doctor_sees_copies_that_are_lost_and_settings_that_would_lose(
    cluster: Cluster, kafka: BrokerSettings, topic_settings: TopicSettings, finsentry: Finsentry
) -> None:
    topics = Topics(topic_settings.model_copy(update={"replication_factor": NODES}))
    names = [topic.name for topic in topics.all()]

    def found(asked: int = NODES) -> dict[str, Check]:
        replication = read_replication(kafka, [*names, OFFSETS])
        to_make = set(names) - {topic.name for topic in replication.topics}
        checks = judge(replication, asked=asked, to_make=sorted(to_make), servers=kafka.bootstrap_servers)
        return {check.name: check for check in checks}

    def comes(so: Callable[[dict[str, Check]], bool], what: str) -> None:
        def seen() -> bool:
            with suppress(BrokerError):  # until a lost node's session ends, clients are sent there too
                return so(found())
            return False

        wait_until(seen, seconds=60, what=what)

    def change(topic: str, key: str, value: str) -> None:
        with admin_client(kafka) as admin:
            admin.alter_configs([client.admin.ConfigResource("TOPIC", topic, {key: value})])

    assert found(asked=1)["copies to come"].state == "warning"
    ensure_topics(kafka, topics.all())
    commit(kafka, names[0])
    comes(lambda checks: [check.state for check in checks.values()] == ["ok"], "all is well")
    assert OFFSETS in [topic.name for topic in read_replication(kafka, [OFFSETS]).topics]

    change(names[1], "unclean.leader.election.enable", "true")
    comes(lambda checks: names[1] in checks.get("leader election", Check("", "ok", "")).found, "an unclean election")
    change(names[2], "min.insync.replicas", "1")
    comes(lambda checks: names[2] in checks.get("acknowledged", Check("", "ok", "")).found, "a single copy is enough")

    cluster.nodes[2].kill()
    comes(lambda checks: "in sync" in checks, "the lost node is seen")
    comes(lambda checks: "start broker 2 again" in checks["in sync"].fix, "and named")
    assert found()["in sync"].state == "warning"
    assert found()["copies"].found.endswith("on 3 brokers")  # one is down, and is a broker nevertheless

    change(names[0], "min.insync.replicas", str(NODES))
    comes(lambda checks: checks["in sync"].state == "broken", "writes are refused")
    done = finsentry.run("doctor", seconds=120)
    assert done.returncode == 1
    assert f"BROKEN  {'in sync':<18}partitions with too few copies in sync" in done.stdout
    assert f"WARNING {'spare copy':<18}{names[0]}" in done.stdout
