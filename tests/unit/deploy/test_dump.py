"""A topic's records as lines; on a real Kafka in `tests/integration/test_commands.py`."""

import json

import kafka.errors
import pytest

from deploy.commands.dump import read_lines
from stream.broker import BrokerSettings
from stream.topics import Topic
from tests.unit.stream.consumer import FakeConsumer

BROKER = BrokerSettings(bootstrap_servers="broker-1:9092")
TOPIC = Topic("t", 1, 1)


@pytest.mark.parametrize("value", [b"\xff", b"{", b"[" * 2000 + b"]" * 2000, b'{"title":"caf\xe9"}'])
def test_a_record_that_cannot_be_shown_as_json_is_shown_in_base64(
    monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    FakeConsumer(value, b'{"a":1}').stand_in(monkeypatch)
    first, second = read_lines(BROKER, TOPIC, follow=False, stopped=lambda: False)
    assert isinstance(json.loads(first)["value"], str)
    assert json.loads(second)["value"] == {"a": 1}


def test_each_record_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeConsumer(b'{\n "a": "\xc3\xa9"\n}').stand_in(monkeypatch)
    (line,) = read_lines(BROKER, TOPIC, follow=False, stopped=lambda: False)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["value"] == {"a": "é"}


def test_a_dump_that_waits_for_the_broker_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = FakeConsumer(b"{}")
    consumer.failure = kafka.errors.KafkaTimeoutError("2 s")
    consumer.stand_in(monkeypatch)
    answers = iter([False, False, False])
    assert list(read_lines(BROKER, TOPIC, follow=False, stopped=lambda: next(answers, True))) == []
