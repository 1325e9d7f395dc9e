"""The way into `documents`: a producer that acknowledges, bounds what is on its way, and hides no error."""

import logging
from collections.abc import Callable
from threading import Condition
from typing import Protocol

import kafka.errors

from stream.broker import BrokerSettings
from stream.errors import BrokerError
from stream.kafka_sync import open_producer
from stream.topics import Topic

logger = logging.getLogger(__name__)

BATCH_BYTES = 256 * 1024
"""Some 500 headlines: one request a partition instead of thirty."""

LINGER_MS = 5
"""A crawler's documents come one by one, an archive's fill the batch before that."""

IN_FLIGHT_BYTES = 32 * 1024 * 1024
"""kafka-python's own buffer has no bound; with a slow broker an archive would grow into it."""

DELIVERY_SECONDS = 120.0
"""How long a record is tried before it counts as lost: a broker that restarts is back by then."""

CLOSE_SECONDS = 10.0

AROUND_BYTES = 128
"""What Kafka puts around a record that goes alone, with room to spare: 61 bytes of the batch, 21 of the record and the
key."""


class Producer(Protocol):
    """Appends records to one topic, each once and in order of `send` within its key."""

    def send(self, key: bytes, value: bytes, acknowledged: Callable[[], None]) -> None:
        """Takes a record and calls `acknowledged` (from any thread) once the broker has it safe.

        Blocks while too much is on its way. Raises `BrokerError` where an earlier record was lost, or this one is
        refused; after that the producer takes nothing more.
        """
        ...

    def flush(self) -> None:
        """Returns when everything taken so far is acknowledged; raises `BrokerError` where it never will be."""
        ...

    def close(self) -> None:
        """Waits shortly for what is on its way, then lets go of the broker. Does not raise."""
        ...


class KafkaDocuments:
    """The `Producer` over kafka-python: `acks=all`, idempotent, murmur2 of the key. Safe for several threads.

    The constructor raises `BrokerError` where no broker answers.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        topic: Topic,
        *,
        in_flight_bytes: int = IN_FLIGHT_BYTES,
        delivery_seconds: float = DELIVERY_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._topic = topic.name
        self._room = in_flight_bytes
        self._close_seconds = close_seconds
        largest = int(topic.config.get("max.message.bytes", 1_000_000))
        self._in_flight = 0
        self._failure: BaseException | None = None
        self._changed = Condition()
        self._producer = open_producer(
            broker,
            client_id="finsentry-ingest",
            enable_idempotence=True,
            batch_size=min(BATCH_BYTES, largest),  # one that the broker refuses is split, and lost
            linger_ms=LINGER_MS,
            delivery_timeout_ms=int(delivery_seconds * 1000),
            max_request_size=largest,
            metrics_enabled=False,
        )

    def send(self, key: bytes, value: bytes, acknowledged: Callable[[], None]) -> None:
        size = len(key) + len(value)
        with self._changed:
            # A record above the bound goes alone.
            self._changed.wait_for(
                lambda: self._failure is not None or not self._in_flight or self._in_flight + size <= self._room
            )
            self._raise_failure()
            self._in_flight += size

        def done(_: object) -> None:
            try:
                acknowledged()
            except Exception as error:
                self._settle(size, error)
                raise
            self._settle(size, None)  # earlier, `flush` would return with the last one still to be told

        try:
            future = self._producer.send(self._topic, key=key, value=value)
        except (kafka.errors.KafkaError, ValueError, AssertionError) as error:
            self._settle(size, error)
            self._raise_failure()
        else:
            future.add_callback(done)
            future.add_errback(lambda error: self._settle(size, error))

    def flush(self) -> None:
        try:
            self._producer.flush()
        except kafka.errors.KafkaError as error:
            self._settle(0, error)
        with self._changed:
            # The callbacks of the last batch may still be running.
            self._changed.wait_for(lambda: self._failure is not None or self._in_flight == 0)
        self._raise_failure()

    def close(self) -> None:
        try:
            self._producer.close(timeout=self._close_seconds)
        except kafka.errors.KafkaError as error:
            logger.warning("producer could not be closed topic=%s error=%s", self._topic, error)

    def _settle(self, size: int, error: BaseException | None) -> None:
        with self._changed:
            self._in_flight -= size
            self._failure = self._failure or error
            self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BrokerError(
                f"Kafka did not take a document for {self._topic} ({type(self._failure).__name__}: {self._failure})",
                fix="check the broker; what was not acknowledged is published again by the next crawl or replay",
            ) from self._failure
