"""`finsentry dump`: a topic's records as JSON lines."""

import difflib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from deploy.commands.options import with_settings
from deploy.errors import InputError
from deploy.logs import log_as_command
from deploy.settings import Settings
from deploy.stopping import stop_on_signals

if TYPE_CHECKING:
    from stream.broker import BrokerSettings
    from stream.topics import Topic, Topics

POLL_SECONDS = 0.2


@click.command()
@click.argument("topic")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is appended, until Ctrl-C.")
@click.option("--prefix", help="Prefix of the topics, in place of topics.prefix.")
@with_settings
def dump(settings: Settings, topic: str, follow: bool, prefix: str | None) -> None:
    """Print the records of TOPIC as JSON lines, from the start.

    TOPIC is documents, scored, windows, alerts, labels, dead-letters or control. The records of one partition come in
    order.

    \b
    Example:
      finsentry dump alerts
    """
    from deploy.local.broker import open_broker
    from stream.topics import Topics

    log_as_command()
    wanted = settings.topics if prefix is None else settings.topics.model_copy(update={"prefix": prefix})
    found = _named(Topics(wanted), topic)
    with stop_on_signals() as stop, open_broker(settings) as broker:
        for line in read_lines(broker, found, follow=follow, stopped=stop.is_set):
            click.echo(line)


def _named(topics: "Topics", name: str) -> "Topic":
    topic = topics.named(name)
    if topic is None:
        names = [topics.short(one) for one in topics.all()]
        near = difflib.get_close_matches(name, names, n=1)
        listed = ", ".join(names)
        raise InputError(
            f"there is no topic {name}", fix=f"did you mean {near[0]}?" if near else f"the topics are {listed}"
        )
    return topic


def read_lines(broker: "BrokerSettings", topic: "Topic", *, follow: bool, stopped: Callable[[], bool]) -> Iterator[str]:
    """One JSON line a record: up to where the topic ended at the start, or with `follow` until `stopped`.

    Raises `InputError` where the broker has no such topic, `BrokerError` where it does not answer.
    """
    from stream.snapshot import TopicReader

    with TopicReader(broker, topic, stopped=stopped) as reader:
        while not stopped():
            for record in reader.read():
                if stopped():
                    return
                yield _line(record)
            if not follow:
                return
            time.sleep(POLL_SECONDS)


def _line(record: Any) -> str:
    from datetime import UTC, datetime

    import msgspec

    shown = record.value
    if shown is not None:
        # Bytes that are no JSON become Base64.
        with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            shown.decode()  # decoding as JSON passes over what is no UTF-8 within a string
            shown = msgspec.Raw(msgspec.json.format(shown, indent=-1))
    return msgspec.json.encode(
        {
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": datetime.fromtimestamp(record.timestamp / 1000, UTC),
            "key": None if record.key is None else record.key.decode("utf-8", "replace"),
            "value": shown,
        }
    ).decode()
