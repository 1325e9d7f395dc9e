"""Topics are created and checked on a real broker."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kafka as client
import pytest

from deploy.local.kafka import EmbeddedKafka
from deploy.local.processes import free_ports
from stream.archiver import Archiver
from stream.broker import BrokerSettings, admin_client, ensure_topics, missing_topics
from stream.control_desk import ControlDesk
from stream.errors import BrokerError, InputError, TopicMismatchError
from stream.kafka_sync import open_producer
from stream.letter_box import put_back
from stream.snapshot import read_topic
from stream.topics import Topic, Topics, TopicSettings


def described_config(kafka: BrokerSettings, topic: str) -> dict[str, str]:
    with admin_client(kafka) as admin:
        found = admin.describe_configs([client.admin.ConfigResource("TOPIC", topic)], config_filter="all")
        return {key: entry["value"] for key, entry in found["topic"][topic].items()}


def test_missing_topics_are_created_as_asked(kafka: BrokerSettings, topic_settings: TopicSettings) -> None:
    topics = Topics(topic_settings)

    assert ensure_topics(kafka, topics.all()) == [topic.name for topic in topics.all()]

    with admin_client(kafka) as admin:
        described = admin.describe_topics([topic.name for topic in topics.all()])
    partitions = {entry["name"]: len(entry["partitions"]) for entry in described}
    assert partitions == {topic.name: topic.partitions for topic in topics.all()}
    for topic in topics.all():
        found = described_config(kafka, topic.name)
        assert {key: found[key] for key in topic.config} == topic.config


def test_running_again_changes_nothing(kafka: BrokerSettings, topics: Topics) -> None:
    assert ensure_topics(kafka, topics.all()) == []


def test_looking_creates_nothing(kafka: BrokerSettings, topic_settings: TopicSettings) -> None:
    topics = Topics(topic_settings).all()
    names = [topic.name for topic in topics]

    assert missing_topics(kafka, topics) == names
    assert missing_topics(kafka, topics) == names
    ensure_topics(kafka, topics[:2])
    assert missing_topics(kafka, topics) == names[2:]


def test_processes_that_start_together_agree(kafka: BrokerSettings, topic_settings: TopicSettings) -> None:
    topics = Topics(topic_settings).all()

    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(lambda _: ensure_topics(kafka, topics), range(4)))

    assert sorted(name for names in created for name in names) == sorted(topic.name for topic in topics)


def test_other_partitions_are_an_error_that_names_both(
    kafka: BrokerSettings, topics: Topics, topic_settings: TopicSettings
) -> None:
    more = Topics(topic_settings.model_copy(update={"partitions": topic_settings.partitions + 1}))

    with pytest.raises(TopicMismatchError, match=f"{topics.documents.name} has 4 partitions.*asks for 5") as caught:
        ensure_topics(kafka, more.all())

    assert "topics.partitions = 4" in caught.value.fix


@pytest.mark.parametrize("key", ["cleanup.policy", "message.timestamp.type"])
def test_another_policy_is_an_error_that_names_the_key(
    kafka: BrokerSettings, topic_settings: TopicSettings, key: str
) -> None:
    name = topic_settings.prefix + "documents"
    asked = {"cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime"}
    standing = {"cleanup.policy": "delete", "message.timestamp.type": "CreateTime"}
    ensure_topics(kafka, (Topic(name, 1, 1, {**asked, key: standing[key]}),))

    with pytest.raises(TopicMismatchError, match=f"{name} has {key}={standing[key]}") as caught:
        ensure_topics(kafka, (Topic(name, 1, 1, asked),))

    assert asked[key] in caught.value.fix


def test_retention_is_the_operators_to_change(kafka: BrokerSettings, topic_settings: TopicSettings) -> None:
    name = topic_settings.prefix + "documents"
    ensure_topics(kafka, (Topic(name, 1, 1, {"retention.ms": "1000"}),))

    assert ensure_topics(kafka, (Topic(name, 1, 1, {"retention.ms": "2000"}),)) == []


def test_more_copies_than_brokers_is_an_error_of_the_broker(
    kafka: BrokerSettings, topic_settings: TopicSettings
) -> None:
    with pytest.raises(BrokerError, match=r"(?i)replication"):
        ensure_topics(kafka, Topics(topic_settings.model_copy(update={"replication_factor": 3})).all())


def test_no_broker_is_an_error_that_says_where_it_was_looked_for() -> None:
    nobody = BrokerSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")

    with (
        pytest.raises(BrokerError, match=f"no Kafka broker answers at {nobody.bootstrap_servers}") as caught,
        admin_client(nobody, timeout_seconds=0.3),
    ):
        pass

    assert "kafka.bootstrap_servers" in caught.value.fix


@pytest.fixture
def eager(tmp_path: Path) -> Iterator[BrokerSettings]:
    """A broker as many run theirs: it makes any topic that a client asks for, as it sees fit."""
    with EmbeddedKafka(tmp_path / "kafka", overrides={"auto.create.topics.enable": "true"}) as server:
        yield server.settings


def test_no_command_has_the_broker_make_a_topic(eager: BrokerSettings, tmp_path: Path) -> None:
    """It would have the broker's number of partitions and clean-up, and every role would refuse it."""
    topics = Topics(TopicSettings(prefix="eager."))
    with pytest.raises(InputError, match=r"the broker has no topic eager\.dead-letters yet"):
        list(read_topic(eager, topics.dead_letters))
    with pytest.raises(InputError, match=r"the broker has no topic eager\.dead-letters yet"):
        put_back(eager, topics, ["eager.documents/0/1"])
    with Archiver(eager, topics, tmp_path / "archive", rows=10) as archiver:  # noqa: SIM117
        with pytest.raises(InputError, match=r"the broker has no topic eager\.scored yet") as caught:
            archiver.run(follow=False, every_seconds=1, stopped=lambda: False)
    assert "topics.prefix" in caught.value.fix
    producer = open_producer(eager, max_block_ms=1000)
    with pytest.raises(client.errors.KafkaTimeoutError):
        producer.send(topics.documents.name, b"{}").get(10)
    producer.close()
    assert missing_topics(eager, topics.all()) == [topic.name for topic in topics.all()]

    with ControlDesk(eager, topics):  # makes its own, as it should be
        assert missing_topics(eager, (topics.control,)) == []
