"""kafka-python's clients, without a broker; what they leave undone on a real one is in `tests/integration`."""

from typing import Any

import kafka
import kafka.errors
import pytest

from stream.broker import BrokerSettings
from stream.errors import BrokerError, SchemaError
from stream.kafka_sync import answering, open_consumer, open_producer, partitions_of
from stream.topics import Topic

BROKER = BrokerSettings(bootstrap_servers="broker-1:9092")


@pytest.mark.parametrize("cause", [kafka.errors.KafkaTimeoutError("2 s"), ConnectionResetError("gone")])
def test_errors_of_the_client_say_where_the_broker_was_looked_for(cause: Exception) -> None:
    with (
        pytest.raises(BrokerError, match=r"no Kafka broker answers at broker-1:9092 \(\w+: ") as caught,
        answering(BROKER),
    ):
        raise cause
    assert caught.value.__cause__ is cause


def test_errors_of_ours_pass() -> None:
    with pytest.raises(SchemaError), answering(BROKER):
        raise SchemaError("strange")


@pytest.mark.parametrize(("name", "opened"), [("KafkaConsumer", open_consumer), ("KafkaProducer", open_producer)])
def test_what_a_caller_asks_for_stands_beside_what_all_have(
    monkeypatch: pytest.MonkeyPatch, name: str, opened: Any
) -> None:
    monkeypatch.setattr(kafka, name, dict)
    options = opened(BROKER, client_id="ours", bootstrap_timeout_ms=5)
    assert (options["bootstrap_servers"], options["client_id"]) == (["broker-1:9092"], "ours")
    assert options["bootstrap_timeout_ms"] == 5


def test_a_client_asks_for_no_topic_to_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "KafkaConsumer", dict)
    options = open_consumer(BROKER)
    client = options["kafka_client"](bootstrap_servers=["broker-1:9092"])
    assert client.cluster.metadata_request().allow_auto_topic_creation is False


class Metadata:
    def __init__(self, *answers: set[int]) -> None:
        self._answers = list(answers)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return self._answers.pop(0)


def test_partitions_are_the_topics_own_and_a_moment_is_given_to_show_them() -> None:
    topic = Topic("t", 1, 1)
    assert [place.partition for place in partitions_of(Metadata(set(), {1, 0, 2}), BROKER, topic)] == [0, 1, 2]
