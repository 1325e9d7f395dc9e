"""Which letters there are and what became of them, out of the log."""

from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import kafka
import kafka.errors
import msgspec
import pytest

from stream.broker import BrokerSettings
from stream.errors import BrokerError, InputError, SchemaError
from stream.letter_box import Choice, Fate, Letter, alone, choose, read_letters
from stream.records import SCHEMA, DeadLetter, encode
from stream.topics import Topics, TopicSettings

LETTER = DeadLetter(
    topic="documents",
    partition=1,
    offset=7,
    stage="classify",
    error="ValueError",
    message="cannot",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    value=b"x" * 1000,
)


def log(*letters: DeadLetter | bytes) -> list[SimpleNamespace]:
    return [SimpleNamespace(value=one if isinstance(one, bytes) else encode(one)) for one in letters]


def marked(state: str) -> DeadLetter:
    return msgspec.structs.replace(LETTER, value=b"", put_back=state)


def test_a_letter_keeps_its_size_and_the_start_of_its_value() -> None:
    assert read_letters(log(LETTER)) == {
        "documents/1/7": Letter(msgspec.structs.replace(LETTER, value=b"x" * 200), size=1000)
    }


def test_the_last_mark_stands() -> None:
    assert [one.head.put_back for one in read_letters(log(LETTER, marked("begun"))).values()] == ["begun"]
    found = read_letters(log(LETTER, marked("begun"), marked("done"))).values()
    assert [one.head.put_back for one in found] == ["done"]


def test_a_repeat_of_a_letter_does_not_forget_that_it_was_put_back() -> None:
    (letter,) = read_letters(log(LETTER, marked("done"), LETTER)).values()
    assert (letter.head.put_back, letter.size) == ("done", 1000)


def test_a_mark_whose_letter_has_expired_and_what_cannot_be_read_are_passed_over() -> None:
    assert read_letters(log(marked("done"), b"{", b"[" * 3000)) == {}


def test_a_letter_of_a_newer_version_is_neither_passed_over_nor_misread() -> None:
    """Passed over, the list would say that every document was processed; misread, something else would be put back."""
    newer = msgspec.structs.replace(LETTER, schema=SCHEMA + 1)
    with pytest.raises(SchemaError, match=f"a record has schema {SCHEMA + 1}"):
        read_letters(log(LETTER, newer))


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (False, Choice(put_back=["documents/1/7"], counted=["documents/1/8"], undecided=["documents/1/9"])),
        (True, Choice(put_back=["documents/1/7", "documents/1/9"], counted=["documents/1/8"], undecided=[])),
    ],
)
def test_what_was_counted_is_never_put_back_and_what_is_not_said_to_be_dead_only_when_asked_for_again(
    again: bool, expected: Choice
) -> None:
    letters = [msgspec.structs.replace(LETTER, offset=offset) for offset in (7, 8, 9)]
    became: dict[str, Fate] = {"documents/1/7": "dead", "documents/1/8": "counted", "documents/1/9": "undecided"}
    assert choose(letters, became, again=again) == expected


def test_nothing_is_chosen_of_nothing() -> None:
    assert choose([], {}, again=False) == Choice([], [], [])


class Member:
    """A consumer that is in its group, or is never let in, or is told something else."""

    def __init__(self, *, joins: bool = False, told: Exception | None = None, gone: bool = False) -> None:
        self.generation, self.closed = 4, False
        self._joins, self._told, self._gone = joins, told, gone
        self._mine: set[Any] = set()

    def subscribe(self, _topics: list[str]) -> None: ...
    def pause(self, *_places: object) -> None: ...

    def assignment(self) -> set[Any]:
        return self._mine

    def poll(self, _milliseconds: int) -> dict[Any, Any]:
        if self._told:
            raise self._told
        if self._joins:
            self._mine = {kafka.TopicPartition("dead-letters", 0)}
        return {}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def end_offsets(self, places: Iterable[Any], timeout_ms: int) -> dict[Any, int]:
        if self._gone:
            raise kafka.errors.KafkaTimeoutError(f"nothing for {timeout_ms} ms")
        return dict.fromkeys(places, 3)

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(generation_id=self.generation)

    def close(self, *, autocommit: bool, timeout_ms: int) -> None:
        self.closed = not autocommit and timeout_ms < 5000


BROKER = BrokerSettings(bootstrap_servers="127.0.0.1:9")
TOPICS = Topics(TopicSettings(prefix="desk."))


@pytest.mark.parametrize(
    ("member", "error", "words"),
    [
        (Member(), InputError, "another .* is at it: the consumer group desk.resubmit has a member"),
        (Member(gone=True), BrokerError, "127.0.0.1:9"),
        (
            Member(told=kafka.errors.GroupAuthorizationFailedError("no")),
            BrokerError,
            "refuses the consumer group desk.resubmit",
        ),
    ],
)
def test_who_is_not_let_in_is_told_why(
    member: Member, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: member)
    with pytest.raises(error, match=words), alone(BROKER, TOPICS, seconds=0.05):
        pytest.fail("it was let in")
    assert member.closed


def test_who_is_put_out_meanwhile_sends_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(joins=True)
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: member)
    with alone(BROKER, TOPICS) as require:
        require()
        member.generation = -1
        with pytest.raises(BrokerError, match=r"the place in the consumer group desk\.resubmit was lost"):
            require()
    assert member.closed


def test_who_is_stopped_while_it_waits_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: Member())
    with alone(BROKER, TOPICS, stopped=lambda: True):
        pass
