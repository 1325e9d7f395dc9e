"""`dead-letters` from a command's side: what lies there, and putting documents back where they came from.

A document that is put back is a new record of `documents`, so it is counted like any other: once each time. So that
nobody puts one back twice unawares, what was done stands in `dead-letters` too, under the letter's own key: `begun`
before the document is sent, `done` after the broker has it. A command that is killed in between leaves `begun`.

A letter alone does not say that its document is dead: a worker writes it before the marker in `scored`, and where it
dies in between, the next one may find the document sound. `scored` has the last word (`fates`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import kafka.errors
import msgspec
from msgspec.structs import replace

from stream.broker import BrokerSettings
from stream.errors import BrokerError, InputError
from stream.kafka_sync import answering, open_consumer, open_producer, partitions_of
from stream.records import DeadLetter, encode, read_scored, require_known
from stream.snapshot import ENDS_MS, TopicReader, read_topic
from stream.topics import Topics

PREVIEW_BYTES = 200
SEND_SECONDS = 30.0

SESSION_MS = 6_000
"""The shortest that brokers allow by default: as long is who was killed taken to be at it still."""

HEARTBEAT_MS = 1_000

ALONE_SECONDS = 15.0
"""Longer than that, and than a broker waits for a group's first members."""

AT_IT_MS = 24 * 3600 * 1000
"""Longer than anybody puts letters back: who is at it asks the group for nothing."""

_decoder = msgspec.json.Decoder(DeadLetter)

Fate = Literal["dead", "counted", "undecided"]
"""`undecided`: no worker has come to it since the letter was written, or `scored` has expired."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without most of its value, which may be megabytes."""

    head: DeadLetter
    """Its value is the first `PREVIEW_BYTES`; `put_back` is what the last mark says."""
    size: int
    """Bytes of the whole value."""


def read_letters(records: Iterable[Any]) -> dict[str, Letter]:
    """The letters by position, in the order in which they came; of a repeat the last. Takes kafka-python's records.

    Raises `SchemaError` for one of a newer version. A record that cannot be read is passed over: this topic holds what
    already could not be processed.
    """
    letters: dict[str, Letter] = {}
    for record in records:
        found = decode_letter(record.value)
        if found is None:
            continue
        known = letters.get(found.position)
        if found.put_back is None:
            # A worker that died may write a letter once more after it was put back.
            head = replace(found, value=found.value[:PREVIEW_BYTES], put_back=known.head.put_back if known else None)
            letters[found.position] = Letter(head, len(found.value))
        elif known is not None:  # else retention has deleted the letter itself
            letters[found.position] = Letter(replace(known.head, put_back=found.put_back), known.size)
    return letters


def decode_letter(value: bytes | None) -> DeadLetter | None:
    """The letter in a record; None where it cannot be read. Raises `SchemaError` for one of a newer version."""
    try:
        letter = _decoder.decode(value or b"")
    except (msgspec.DecodeError, RecursionError):
        return None
    require_known(letter.schema)
    return letter


def fates(
    broker: BrokerSettings,
    topics: Topics,
    letters: Iterable[DeadLetter],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Fate]:
    """What `scored` says became of the documents, by position. What was counted would be so twice, put back.

    It ends early where `stopped` says so. Raises `BrokerError` where Kafka is gone, and `SchemaError` for a strange
    record.
    """
    found: dict[str, Fate] = {}
    wanted: dict[tuple[int, int], DeadLetter] = {}
    for letter in letters:
        found[letter.position] = "undecided"
        wanted[letter.partition, letter.offset] = letter
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


class Choice(NamedTuple):
    """What is to become of letters, by position, in their order."""

    put_back: list[str]
    counted: list[str]
    """Their documents were counted after all, and would be so twice."""
    undecided: list[str]
    """`scored` does not say that their documents are dead, and nobody asked for these all the same."""


def choose(letters: Iterable[DeadLetter], became: Mapping[str, Fate], *, again: bool) -> Choice:
    """Which of the letters are put back, by what `fates` says of each; with `again` those too of which it says nothing.

    Pure. That a letter was put back before is the caller's affair.
    """
    choice = Choice([], [], [])
    for letter in letters:
        fate = became[letter.position]
        if fate == "counted":
            choice.counted.append(letter.position)
        elif fate == "undecided" and not again:
            choice.undecided.append(letter.position)
        else:
            choice.put_back.append(letter.position)
    return choice


def put_back(
    broker: BrokerSettings,
    topics: Topics,
    positions: Iterable[str],
    *,
    done: Callable[[str], object] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    require: Callable[[], object] = lambda: None,
) -> int:
    """Sends the documents at `positions` to where they came from, each acknowledged before the next; returns how many.

    Calls `require` before each, which raises where it must not be sent (see `alone`), and `done` with its position
    after it; ends early where `stopped` says so. Raises `BrokerError` where Kafka refuses or is gone: what was told by
    `done` is safe, the one after it is marked `begun`.
    """
    wanted = dict.fromkeys(positions)
    sent = 0
    with _sender(broker, topics) as send:
        for record in read_topic(broker, topics.dead_letters):
            if stopped() or not wanted:
                break
            letter = decode_letter(record.value)
            if letter is None or letter.put_back is not None or letter.position not in wanted:
                continue
            require()
            del wanted[letter.position]
            key, mark = letter.position.encode(), replace(letter, value=b"", key=b"", at=datetime.now(UTC))
            send(topics.dead_letters.name, key, encode(replace(mark, put_back="begun")))
            # The key as it was, hence the partition as it was: copies of a story stay in order.
            send(letter.topic, letter.key or None, letter.value)
            send(topics.dead_letters.name, key, encode(replace(mark, put_back="done")))
            sent += 1
            done(letter.position)
    return sent


@contextmanager
def alone(
    broker: BrokerSettings,
    topics: Topics,
    *,
    stopped: Callable[[], bool] = lambda: False,
    seconds: float = ALONE_SECONDS,
) -> Iterator[Callable[[], None]]:
    """Keeps others from putting letters back, from before they are read to the last that is sent.

    Two that read the same letters would send each document twice. The lock is Kafka's: of a group only one member is
    given the partition. Gives what `put_back` asks before each document: it raises `BrokerError` once another may have
    the lock. Raises `InputError` where there is no such topic or another has the lock for `seconds`, `BrokerError`
    where Kafka is gone or refuses the group. Waits no longer where `stopped` says so, without the lock.
    """
    group = topics.group("resubmit")
    consumer = open_consumer(
        broker,
        group_id=group,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        max_poll_interval_ms=AT_IT_MS,
    )
    try:
        places = partitions_of(consumer, broker, topics.dead_letters)
        consumer.subscribe([topics.dead_letters.name])
        deadline = time.monotonic() + seconds
        with answering(broker), _permitting(group):
            while not consumer.assignment() and not stopped():
                if time.monotonic() > deadline:
                    consumer.end_offsets(places, timeout_ms=ENDS_MS)  # a broker that is gone is no other command
                    raise InputError(
                        f"another `dead-letters resubmit` is at it: the consumer group {group} has a member",
                        fix="wait for its end, or stop it; where there is none, see the broker's log",
                    )
                consumer.poll(100)
            consumer.pause(*consumer.assignment())
        held = consumer.group_metadata().generation_id

        def require() -> None:
            if consumer.group_metadata().generation_id != held:
                raise BrokerError(
                    f"the place in the consumer group {group} was lost, so that another command may be at it",
                    fix="look at `finsentry dead-letters list`, and start again",
                )

        yield require
    finally:
        consumer.close(autocommit=False, timeout_ms=ENDS_MS)  # a broker that makes it wait for others does not answer


@contextmanager
def _permitting(group: str) -> Iterator[None]:
    try:
        yield
    except (kafka.errors.GroupAuthorizationFailedError, kafka.errors.InvalidSessionTimeoutError) as error:
        raise BrokerError(
            f"Kafka refuses the consumer group {group}: {error}",
            fix=f"let this user read it, and groups have sessions of {SESSION_MS // 1000} seconds",
        ) from error


@contextmanager
def _sender(broker: BrokerSettings, topics: Topics) -> Iterator[Callable[[str, bytes | None, bytes], None]]:
    largest = int(topics.dead_letters.config["max.message.bytes"])
    producer = open_producer(broker, max_request_size=largest)

    def send(topic: str, key: bytes | None, value: bytes) -> None:
        with answering(broker):
            try:
                producer.send(topic, key=key, value=value).get(SEND_SECONDS)
            except (kafka.errors.MessageSizeTooLargeError, kafka.errors.RecordListTooLargeError) as error:
                raise BrokerError(
                    f"{topic} does not take a record of {len(value):,} bytes: {error}",
                    fix="raise that topic's max.message.bytes, and topics.max_document_bytes with it",
                ) from error

    try:
        yield send
    finally:
        with answering(broker):
            producer.close(SEND_SECONDS)
