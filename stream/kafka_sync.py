"""kafka-python's clients, as ingest and the commands open them, and its errors as ours. The loops have aiokafka's."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import kafka
import kafka.errors
from kafka.net.compat import KafkaNetClient

from stream.broker import BrokerSettings, unreachable
from stream.errors import InputError
from stream.topics import Topic

BOOTSTRAP_MS = 10_000
"""How long a broker is looked for: one that restarts is back by then, and a person waits for no longer."""

SHOWN_SECONDS = 5.0
"""One broker of several shows a new topic a moment after the others, seconds where they have much to do."""


def open_consumer(broker: BrokerSettings, **options: Any) -> Any:
    """A `kafka.KafkaConsumer` that commits nothing by itself and begins at the oldest record; for the caller to close.

    Raises `BrokerError` where no broker answers, `InputError` where a certificate cannot be read.
    """
    given = _options(broker) | {"enable_auto_commit": False, "auto_offset_reset": "earliest"} | options
    with answering(broker):
        return kafka.KafkaConsumer(**given)


def open_producer(broker: BrokerSettings, **options: Any) -> Any:
    """A `kafka.KafkaProducer` whose records are safe once they are acknowledged; for the caller to close.

    Raises as `open_consumer` does.
    """
    given = _options(broker) | {"acks": "all"} | options
    with answering(broker):
        return kafka.KafkaProducer(**given)


@contextmanager
def answering(broker: BrokerSettings) -> Iterator[None]:
    """Around calls of a client: what it raises where the broker is gone or refuses becomes a `BrokerError`."""
    try:
        yield
    except (kafka.errors.KafkaError, OSError) as error:
        raise unreachable(broker, error) from error


def partitions_of(
    consumer: Any, broker: BrokerSettings, topic: Topic, *, monotonic: Callable[[], float] = time.monotonic
) -> list[kafka.TopicPartition]:
    """The topic's partitions in order: all that it has, whatever the settings say, so that none is missed in silence.

    Raises `InputError` where there is none for `SHOWN_SECONDS`: kafka-python itself would wait for it.
    """
    deadline = monotonic() + SHOWN_SECONDS
    with answering(broker):
        while not (numbers := consumer.partitions_for_topic(topic.name)):
            if monotonic() > deadline:
                raise InputError(
                    f"the broker has no topic {topic.name} yet",
                    fix="check topics.prefix; topics are made when a part of the pipeline first starts",
                )
            time.sleep(0.1)
    return [kafka.TopicPartition(topic.name, number) for number in sorted(numbers)]


def _options(broker: BrokerSettings) -> dict[str, Any]:
    return broker.client_options() | {"bootstrap_timeout_ms": BOOTSTRAP_MS, "kafka_client": _making_no_topics}


def _making_no_topics(**options: Any) -> KafkaNetClient:
    """A client that has the broker make no topic: it would take its own settings, and every role would refuse it.

    kafka-python 3.0.12 takes `allow_auto_create_topics=False`, and does not pass it on to what asks for topics.
    """
    client = KafkaNetClient(**options)
    client.cluster.config["allow_auto_create_topics"] = False
    return client
