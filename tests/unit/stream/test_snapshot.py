"""A look at a topic ends: at its end, when it is stopped, or with an error where the broker says nothing more."""

from collections.abc import Callable
from itertools import count

import kafka.errors
import pytest

from stream.broker import STALLED_SECONDS, BrokerSettings
from stream.errors import BrokerError, InputError
from stream.snapshot import TopicReader
from stream.topics import Topic
from tests.unit.stream.consumer import FakeConsumer

BROKER = BrokerSettings(bootstrap_servers="broker-1:9092")


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> FakeConsumer:
    made = FakeConsumer(b"a", b"b")
    made.stand_in(monkeypatch)
    return made


def reader(stopped: Callable[[], bool] = lambda: False) -> TopicReader:
    """Its clock goes on by a second with every look."""
    seconds = count()
    return TopicReader(BROKER, Topic("t", 1, 1), stopped=stopped, monotonic=lambda: float(next(seconds)))


def test_each_read_gives_what_is_new(consumer: FakeConsumer) -> None:
    topic = reader()
    assert [record.value for record in topic.read()] == [b"a", b"b"]
    assert list(topic.read()) == []
    consumer.values.append(b"c")
    assert [record.value for record in topic.read()] == [b"c"]


def test_a_topic_that_is_not_there_is_named_and_the_client_closed(consumer: FakeConsumer) -> None:
    consumer.partitions = set()
    with pytest.raises(InputError, match="the broker has no topic t yet"):
        reader()
    assert consumer.closed


def test_of_what_is_asked_for_by_time_partitions_that_the_topic_does_not_have_are_left_out(
    consumer: FakeConsumer,
) -> None:
    topic = TopicReader(BROKER, Topic("t", 1, 1), since={0: 0, 7: 0})
    assert [record.value for record in topic.read()] == [b"a", b"b"]


def test_a_broker_that_gives_nothing_is_an_error_and_may_come_back(consumer: FakeConsumer) -> None:
    topic = reader()
    consumer.silent = True
    with pytest.raises(BrokerError, match=f"broker-1:9092 has given nothing for {STALLED_SECONDS:.0f} s"):
        list(topic.read())
    consumer.silent = False
    assert len(list(topic.read())) == 2


def test_a_broker_that_does_not_say_where_a_topic_ends_is_an_error(consumer: FakeConsumer) -> None:
    consumer.failure = kafka.errors.KafkaTimeoutError("2 s")
    with pytest.raises(BrokerError, match="has given nothing"):
        list(reader().read())


def test_an_error_of_the_client_is_one_of_ours(consumer: FakeConsumer) -> None:
    consumer.failure = kafka.errors.KafkaConnectionError("gone")
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at broker-1:9092 \(KafkaConnectionError: .*gone"):
        list(reader().read())


@pytest.mark.parametrize("silent", [True, False])
def test_a_read_can_be_stopped_whatever_the_broker_does(consumer: FakeConsumer, silent: bool) -> None:
    consumer.silent = silent
    consumer.failure = None if silent else kafka.errors.KafkaTimeoutError("2 s")
    answers = iter([False, False, False])
    assert list(reader(lambda: next(answers, True)).read()) == []
