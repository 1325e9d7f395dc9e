"""Which letters there are and what became of them, out of the log."""

from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec

from stream.letter_box import read_letters
from stream.records import DeadLetter, encode

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
    (letter,) = read_letters(log(LETTER)).values()
    assert (letter.position, letter.size, letter.preview) == ("documents/1/7", 1000, b"x" * 200)


def test_the_last_mark_stands() -> None:
    assert [one.put_back for one in read_letters(log(LETTER, marked("begun"))).values()] == ["begun"]
    assert [one.put_back for one in read_letters(log(LETTER, marked("begun"), marked("done"))).values()] == ["done"]


def test_a_repeat_of_a_letter_does_not_forget_that_it_was_put_back() -> None:
    (letter,) = read_letters(log(LETTER, marked("done"), LETTER)).values()
    assert (letter.put_back, letter.size) == ("done", 1000)


def test_a_mark_whose_letter_has_expired_and_what_cannot_be_read_are_passed_over() -> None:
    assert read_letters(log(marked("done"), b"{", b"[" * 3000)) == {}
