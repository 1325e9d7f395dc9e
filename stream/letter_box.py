"""`dead-letters` from a command's side: what lies there, and putting documents back where they came from.

A document that is put back is a new record of `documents`, so it is counted like any other: once each time. So that
nobody puts one back twice unawares, what was done stands in `dead-letters` too, under the letter's own key: `begun`
before the document is sent, `done` after the broker has it. A command that is killed in between leaves `begun`.

A letter alone does not say that its document is dead: a worker writes it before the marker in `scored`, and where it
dies in between, the next one may find the document sound. `scored` has the last word (`fates`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import kafka
import kafka.errors
import msgspec

from stream.broker import BrokerSettings, unreachable
from stream.errors import BrokerError
from stream.records import DeadLetter, PutBack, encode, read_scored
from stream.snapshot import TopicReader, read_topic
from stream.topics import Topics

PREVIEW_BYTES = 200
SEND_SECONDS = 30.0

_decoder = msgspec.json.Decoder(DeadLetter)

Fate = Literal["dead", "counted", "undecided"]
"""`undecided`: no worker has come to it since the letter was written, or `scored` has expired."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its value, which may be megabytes."""

    position: str
    """`topic/partition/offset`: where the record stands that could not be processed."""
    at: datetime
    stage: str
    error: str
    message: str
    size: int
    """Bytes of the value."""
    preview: bytes
    """The first of the value's bytes."""
    appended_at: datetime | None = None
    """As in `DeadLetter`; letters of older versions do not know."""
    put_back: PutBack | None = None


def read_letters(records: Iterable[Any]) -> dict[str, Letter]:
    """The letters by position, in the order in which they came; of a repeat the last. Takes kafka-python's records.

    A record that cannot be read is passed over: this topic holds what already could not be processed.
    """
    letters: dict[str, Letter] = {}
    for record in records:
        found = decode_letter(record.value)
        if found is None:
            continue
        position = position_of(found)
        known = letters.get(position)
        if found.put_back is None:
            letter = _without_value(found)
            # A worker that died may write a letter once more after it was put back.
            letters[position] = replace(letter, put_back=known.put_back) if known else letter
        elif known is not None:  # else retention has deleted the letter itself
            letters[position] = replace(known, put_back=found.put_back)
    return letters


def decode_letter(value: bytes | None) -> DeadLetter | None:
    """The letter in a record; None where it cannot be read."""
    try:
        return _decoder.decode(value or b"")
    except (msgspec.DecodeError, RecursionError):
        return None


def position_of(letter: DeadLetter) -> str:
    """`topic/partition/offset`, the letter's key."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def fates(
    broker: BrokerSettings,
    topics: Topics,
    letters: Iterable[Letter],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Fate]:
    """What `scored` says became of the documents, by position. What was counted would be so twice, put back.

    It ends early where `stopped` says so. Raises `BrokerError` where Kafka is gone, and `SchemaError` for a strange
    record.
    """
    found: dict[str, Fate] = {}
    wanted: dict[tuple[int, int], Letter] = {}
    for letter in letters:
        found[letter.position] = "undecided"
        _, *place = letter.position.rsplit("/", 2)
        wanted[int(place[0]), int(place[1])] = letter
    if not wanted:
        return found
    since: dict[int, int] = {}
    for (partition, _), letter in wanted.items():
        appended_ms = int(letter.appended_at.timestamp() * 1000) if letter.appended_at else 0
        since[partition] = min(appended_ms, since.get(partition, appended_ms))
    with TopicReader(broker, topics.scored, since=since, stopped=stopped) as reader:
        for record in reader.read():
            document = read_scored(record)
            letter_of = wanted.pop((record.partition, document.origin), None)  # of repeats the first stands
            if letter_of is not None:
                found[letter_of.position] = "dead" if document.dead else "counted"
            if not wanted:
                break
    return found


def put_back(
    broker: BrokerSettings,
    topics: Topics,
    positions: Iterable[str],
    *,
    done: Callable[[str], object] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Sends the documents at `positions` to where they came from, each acknowledged before the next; returns how many.

    Calls `done` with each position; ends early where `stopped` says so. Raises `BrokerError` where Kafka refuses or is
    gone: what was told by `done` is safe, the one after it is marked `begun`.
    """
    wanted = dict.fromkeys(positions)
    sent = 0
    with _sender(broker, topics) as send:
        for record in read_topic(broker, topics.dead_letters):
            if stopped() or not wanted:
                break
            letter = decode_letter(record.value)
            if letter is None or letter.put_back is not None or (position := position_of(letter)) not in wanted:
                continue
            del wanted[position]
            mark = msgspec.structs.replace(letter, value=b"", key=b"", at=datetime.now(UTC))
            send(topics.dead_letters.name, position.encode(), _marked(mark, "begun"))
            # The key as it was, hence the partition as it was: copies of a story stay in order.
            send(letter.topic, letter.key or None, letter.value)
            send(topics.dead_letters.name, position.encode(), _marked(mark, "done"))
            sent += 1
            done(position)
    return sent


def _marked(letter: DeadLetter, state: PutBack) -> bytes:
    return encode(msgspec.structs.replace(letter, put_back=state))


def _without_value(letter: DeadLetter) -> Letter:
    return Letter(
        position=position_of(letter),
        at=letter.at,
        stage=letter.stage,
        error=letter.error,
        message=letter.message,
        size=len(letter.value),
        preview=letter.value[:PREVIEW_BYTES],
        appended_at=letter.appended_at,
    )


@contextmanager
def _sender(broker: BrokerSettings, topics: Topics) -> Iterator[Callable[[str, bytes | None, bytes], None]]:
    largest = int(topics.dead_letters.config["max.message.bytes"])
    try:
        producer: Any = kafka.KafkaProducer(
            **broker.client_options(), acks="all", max_request_size=largest, bootstrap_timeout_ms=10_000
        )
    except (kafka.errors.KafkaError, OSError, ValueError) as error:
        raise unreachable(broker, error) from error

    def send(topic: str, key: bytes | None, value: bytes) -> None:
        try:
            producer.send(topic, key=key, value=value).get(SEND_SECONDS)
        except (kafka.errors.MessageSizeTooLargeError, kafka.errors.RecordListTooLargeError) as error:
            raise BrokerError(
                f"{topic} does not take a record of {len(value):,} bytes: {error}",
                fix="raise that topic's max.message.bytes, and topics.max_document_bytes with it",
            ) from error
        except (kafka.errors.KafkaError, OSError) as error:
            raise unreachable(broker, error) from error

    try:
        yield send
    finally:
        producer.close(SEND_SECONDS)
