"""The in-memory producer of the tests keeps the promises of the real one."""

import pytest

from ingest.producer import Producer
from tests.unit.ingest.documents import InMemoryProducer
from tests.unit.ingest.producer_contract import ProducerContract


class TestInMemoryProducer(ProducerContract):
    @pytest.fixture(autouse=True)
    def made(self) -> None:
        self.producers: list[InMemoryProducer] = []

    def make(self) -> Producer:
        self.producers.append(InMemoryProducer(at_once=False))
        return self.producers[-1]

    def records(self) -> list[tuple[bytes, bytes]]:
        return [record for producer in self.producers for record in producer.records]
