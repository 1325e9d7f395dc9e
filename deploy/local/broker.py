"""The broker that a command talks to: the configured one, or the embedded one of `finsentry up`."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.errors import FinSentryError
from deploy.local.folders import RunFolder, latest_folder
from deploy.local.kafka import EmbeddedKafka, find_running
from deploy.settings import Settings
from stream.broker import BrokerSettings


@contextmanager
def open_broker(settings: Settings) -> Iterator[BrokerSettings]:
    """The way to Kafka, for as long as the command needs it.

    Where none is configured: the embedded Kafka of the latest `finsentry up`, started for this command if that run
    has ended. Raises `FinSentryError` where there was no run yet.
    """
    if settings.kafka.bootstrap_servers:
        yield settings.kafka
        return
    folder = latest_folder(settings.data_folder)
    if folder is None:
        raise FinSentryError(
            f"no broker is configured, and {settings.data_folder} holds no run of `finsentry up`",
            fix="set kafka.bootstrap_servers in finsentry.toml or FINSENTRY_KAFKA__BOOTSTRAP_SERVERS, or run"
            " `finsentry up` first",
        )
    running = find_running(folder.kafka)
    if running is not None:
        yield running
        return
    with embedded_kafka(settings, folder) as server:
        yield server.settings


def embedded_kafka(settings: Settings, folder: RunFolder) -> EmbeddedKafka:
    """The embedded Kafka of a run, with room for the largest dead letter; not yet started."""
    return EmbeddedKafka(
        folder.kafka,
        port=settings.local.kafka_port,
        largest_record_bytes=2 * settings.topics.max_document_bytes,
        log=folder.log("kafka"),
    )
