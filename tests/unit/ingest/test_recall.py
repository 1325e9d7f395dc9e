"""What the topic gives back; a real one is read in `tests/integration/test_ingest_memory.py`."""

import pytest

from ingest.memory import Memory
from ingest.recall import TopicReader
from ingest.settings import IngestSettings
from stream.broker import BrokerSettings
from stream.records import encode
from stream.topics import Topics, TopicSettings
from tests.unit.ingest.documents import document
from tests.unit.stream.consumer import FakeConsumer


@pytest.mark.parametrize("broken", [b"", b"{", b'{"id":"x"}', b'{"x":' + b"[" * 2000 + b"]" * 2000 + b"}"])
def test_an_unreadable_document_is_passed_over(monkeypatch: pytest.MonkeyPatch, broken: bytes) -> None:
    FakeConsumer(broken, encode(document())).stand_in(monkeypatch)
    memory = Memory(IngestSettings())
    topic = Topics(TopicSettings(partitions=1)).documents
    with TopicReader(BrokerSettings(bootstrap_servers="broker-1:9092"), topic, memory) as reader:
        assert reader.catch_up(since=0.0) == 2
    assert memory.knows(document().id)
