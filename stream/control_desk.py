"""`control` from a command's side: what stands there, and saying what is to be live."""

from types import TracebackType
from typing import Self

import msgspec

from stream.broker import BrokerSettings, ensure_topics
from stream.control import ControlTable, key_of
from stream.errors import SchemaError
from stream.kafka_sync import answering, open_producer
from stream.records import Promotion, encode
from stream.snapshot import TopicReader
from stream.topics import Topics

SEND_SECONDS = 30.0


class ControlDesk:
    """Reads and writes `control`, which it makes where it is missing. A context manager.

    Raises `BrokerError` where Kafka cannot be reached.
    """

    def __init__(self, broker: BrokerSettings, topics: Topics) -> None:
        self._broker = broker
        self._topic = topics.control
        ensure_topics(broker, (self._topic,))
        self._reader = TopicReader(broker, self._topic)
        self.table = ControlTable()

    def read(self) -> None:
        """Takes what has come since; a record that cannot be read is passed over, as workers do."""
        for record in self._reader.read():
            try:
                self.table.put(record.key, record.value, record.timestamp)
            except (msgspec.MsgspecError, SchemaError):
                continue

    def publish(self, promotion: Promotion) -> int:
        """Writes the record and returns its time, by this machine's clock, in milliseconds."""
        return self._send(key_of(promotion.mode, promotion.language), encode(promotion))

    def end_shadow(self) -> None:
        """Takes the record of the shadow out."""
        self._send(key_of("shadow", ""), None)

    def _send(self, key: str, value: bytes | None) -> int:
        with answering(self._broker):
            producer = open_producer(self._broker)
            try:
                sent = producer.send(self._topic.name, key=key.encode(), value=value, partition=0).get(SEND_SECONDS)
            finally:
                producer.close(SEND_SECONDS)
        time: int = sent.timestamp
        return time

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
