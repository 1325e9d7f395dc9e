import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.classifier import Prediction, TextClassifier
from stream.errors import ModelSickError
from stream.records import SCHEMA, Document, encode
from stream.scoring import (
    CANARY,
    DECIMALS,
    MESSAGE_CHARACTERS,
    NAME_CHARACTERS,
    TITLE_CHARACTERS,
    Received,
    Scored,
    Scorer,
    by_one,
    rounded,
    text_of,
)
from stream.watermarks import NEVER

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CALM = Prediction("Macro", 0.9, "neutral", (0.1, 0.8, 0.1))


class Stub(TextClassifier):
    """A classifier that fails on texts that say so."""

    version = "stub"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        self.calls.append(list(texts))
        if any("crash" in text for text in texts):
            raise RuntimeError("cannot read this")
        return [CALM._replace(probabilities=(float("nan"), 0.0, 0.0)) if "nan" in text else CALM for text in texts]


class Sick(Stub):
    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        raise MemoryError(f"no memory for {len(texts)} texts")


def document(text: str = "Shares fell", published_at: datetime = NOW - timedelta(hours=1)) -> Document:
    return Document(
        id="a" * 32,
        text=text,
        source="wire",
        source_kind="news",
        published_at=published_at,
        fetched_at=NOW,
        story="a" * 32,
    )


def received(value: bytes | None, offset: int = 0) -> Received:
    return Received(0, offset, int(NOW.timestamp() * 1000), b"key", value)


def score(*values: bytes | None, stub: Stub | None = None) -> list[Scored]:
    scorer = Scorer(topic="finsentry.documents", max_text_bytes=1000)
    return scorer.score([received(value, offset) for offset, value in enumerate(values)], NOW, by_one(stub or Stub()))


def test_every_offset_gives_one_record_in_order() -> None:
    results = score(encode(document()), b"{", None, encode(document("crash")), encode(document("nan")))
    assert [item.document.origin for item in results] == [0, 1, 2, 3, 4]
    assert [item.document.dead for item in results] == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, "EmptyValue"),
        (b"", "EmptyValue"),
        (b"{not json", "DecodeError"),
        (b"\xff\xfe\x00", "DecodeError"),
        (b'{"id": 5}', "ValidationError"),
        (encode(document("   ")), "EmptyText"),
        (encode(document("https://t.co/x")), "EmptyText"),
        (encode(document("\u200b\u00ad")), "EmptyText"),
        (encode(msgspec.structs.replace(document("www.wire.example"), title="\u200b")), "EmptyText"),
        (encode(document("x" * 1001)), "TooLarge"),
        (encode(document("\u754c" * 334)), "TooLarge"),
        (encode(document(published_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))))), "ImpossibleTime"),
        (encode(document(published_at=datetime(1899, 12, 31, tzinfo=UTC))), "ImpossibleTime"),
        (b"x" * 2001, "TooLarge"),
        (encode(msgspec.structs.replace(document(), schema=SCHEMA + 1)), "UnknownSchema"),
        (encode(document()).replace(b'08:00:00Z"', b'08:00:00"'), "NaiveTime"),
        (b'{"unknown": ' + b"[" * 1500, "RecursionError"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_with_its_cause_and_bytes(value: bytes | None, error: str) -> None:
    (result,) = score(value)
    letter = result.dead_letter
    assert letter is not None
    assert (letter.stage, letter.error, letter.offset) == ("decode", error, 0)
    assert letter.value == (value or b"")
    assert letter.message
    assert json.loads(encode(letter))["topic"] == "finsentry.documents"


def test_a_title_over_a_link_is_a_document() -> None:
    (result,) = score(encode(msgspec.structs.replace(document("https://t.co/x"), title="Bank fails")))
    assert not result.document.dead


def test_one_text_that_the_model_fails_on_costs_only_itself() -> None:
    results = score(encode(document()), encode(document("crash")), encode(document("fine")))
    assert [item.document.dead for item in results] == [False, True, False]
    letter = results[1].dead_letter
    assert letter is not None
    assert (letter.stage, letter.error, letter.message) == ("classify", "RuntimeError", "cannot read this")


def test_probabilities_that_are_no_numbers_are_a_dead_letter() -> None:
    letter = score(encode(document("nan")))[0].dead_letter
    assert letter is not None
    assert letter.error == "NotFinite"


def test_a_model_that_fails_on_a_harmless_text_too_costs_no_document() -> None:
    scorer = Scorer(topic="documents", max_text_bytes=1000)
    with pytest.raises(ModelSickError, match="no memory"):
        scorer.score([received(encode(document()))], NOW, by_one(Sick()))


class SaysNothing(Stub):
    """Its accelerator gives no numbers any more, for whatever text."""

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return [CALM._replace(topic_probability=float("nan")) for _ in texts]


class FallsIll(Stub):
    """Bears one bad text, and is gone after so many calls."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        if len(self.calls) >= self._after:
            raise RuntimeError("the accelerator does not answer")
        return super().classify(texts)


@pytest.mark.parametrize("stub", [SaysNothing(), *(FallsIll(calls) for calls in range(6))])
def test_no_document_is_to_blame_for_a_model_that_falls_ill_in_the_midst_of_a_batch(stub: Stub) -> None:
    values = [encode(document(text)) for text in ("fine", "crash", "also fine", "well")]
    with pytest.raises(ModelSickError):
        score(*values, stub=stub)


def test_the_canary_is_only_asked_after_a_failure() -> None:
    stub = Stub()
    score(encode(document()), stub=stub)
    assert [CANARY] not in stub.calls
    score(encode(document("crash")), stub=stub)
    assert [CANARY] in stub.calls


def test_the_watermark_is_the_highest_event_time_so_far_and_survives_a_restart() -> None:
    times = [NOW - timedelta(hours=hours) for hours in (3, 1, 2)]
    values = [encode(document(published_at=moment)) for moment in times]
    assert [item.document.watermark for item in score(*values)] == [times[0], times[1], times[1]]

    scorer = Scorer(topic="documents", max_text_bytes=1000)
    scorer.restore(0, times[1])
    assert scorer.score([received(values[2])], NOW, by_one(Stub()))[0].document.watermark == times[1]


def test_event_time_is_never_after_the_append() -> None:
    (result,) = score(encode(document(published_at=NOW + timedelta(hours=1))))
    assert result.document.published_at == NOW
    assert result.document.watermark == NOW


@given(st.floats(0, 1))
def test_a_rounded_probability_is_near_and_short(probability: float) -> None:
    found = rounded(probability)
    assert abs(found - probability) <= 0.5000001 * 10**-DECIMALS
    assert found == round(found, DECIMALS)
    assert 0 <= found <= 1


def test_a_title_is_read_before_the_text_and_once() -> None:
    assert text_of(msgspec.structs.replace(document("Shares fell again"), title="Shares fell")) == "Shares fell again"
    assert text_of(msgspec.structs.replace(document("Body"), title="Title")) == "Title. Body"
    assert text_of(msgspec.structs.replace(document("Shares fell"), title="fell")) == "fell. Shares fell"


def test_a_headline_without_end_is_cut_and_an_address_without_end_left_out() -> None:
    long = msgspec.structs.replace(document("x" * 900), title="t" * 900, url="https://wire.example/" + "u" * 3000)
    (result,) = Scorer(topic="", max_text_bytes=10_000).score([received(encode(long))], NOW, by_one(Stub()))
    assert result.document.title == "t" * TITLE_CHARACTERS
    assert result.document.url == ""


@pytest.mark.parametrize("name", ["id", "story", "source", "language"])
def test_a_name_without_end_is_refused_as_it_cannot_be_cut(name: str) -> None:
    long = ["x" * NAME_CHARACTERS, "x" * (NAME_CHARACTERS + 1)]
    fits, outgrows = score(*(encode(msgspec.structs.replace(document(), **{name: value})) for value in long))
    assert fits.dead_letter is None
    assert outgrows.dead_letter is not None
    assert outgrows.dead_letter.error == "TooLarge"


def test_so_is_a_key_without_end() -> None:
    keys = [b"k" * NAME_CHARACTERS, b"k" * (NAME_CHARACTERS + 1), None]
    records = [Received(0, place, 0, key, encode(document())) for place, key in enumerate(keys)]
    found = Scorer(topic="documents", max_text_bytes=1000).score(records, NOW, by_one(Stub()))
    assert [item.document.dead for item in found] == [False, True, False]


class Wordy(Stub):
    """Complains at length."""

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        if any("crash" in text for text in texts):
            raise RuntimeError("no " * MESSAGE_CHARACTERS)
        return super().classify(texts)


def test_a_letter_has_what_it_takes_to_put_the_document_back_and_no_more_words_than_fit() -> None:
    appended = NOW - timedelta(milliseconds=750)
    value = encode(document("crash"))
    record = Received(3, 7, int(appended.timestamp() * 1000), b"story", value)
    (result,) = Scorer(topic="documents", max_text_bytes=1000).score([record], NOW, by_one(Wordy()))
    letter = result.dead_letter
    assert letter is not None
    assert (letter.topic, letter.partition, letter.offset) == ("documents", 3, 7)
    assert (letter.key, letter.value, letter.appended_at, letter.at) == (b"story", value, appended, NOW)
    assert len(letter.message) == MESSAGE_CHARACTERS
    assert result.document.watermark == NOW - timedelta(hours=1)


class Decided(Stub):
    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return [Prediction("Macro", 0.9, "negative", (0.7, 0.2, 0.1)) for _ in texts]


def test_a_record_carries_the_document_under_its_key_and_what_was_said_of_it() -> None:
    read = msgspec.structs.replace(
        document(), id="b" * 32, title="Shares", url="https://wire.example/1", source_kind="filing"
    )
    (result,) = score(encode(read), stub=Decided())
    one = result.document
    assert result.key == b"key"
    assert (one.id, one.story, one.title, one.url) == (read.id, read.story, read.title, read.url)
    assert (one.source, one.source_kind, one.published_at) == (read.source, read.source_kind, read.published_at)
    assert (one.topic, one.topic_probability, one.sentiment) == ("Macro", 0.9, "negative")
    assert (one.probabilities, one.model) == ((0.7, 0.2, 0.1), "stub")


def test_each_partition_has_its_own_watermark_and_begins_where_its_commit_says() -> None:
    scorer = Scorer(topic="documents", max_text_bytes=1000)
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)

    def watermarks(*values: bytes) -> list[datetime]:
        records = [
            Received(partition, 0, int(NOW.timestamp() * 1000), b"key", value) for partition, value in enumerate(values)
        ]
        return [item.document.watermark for item in scorer.score(records, NOW, by_one(Stub()))]

    assert watermarks(*(encode(document(published_at=event)) for event in (late, early))) == [late, early]
    assert watermarks(b"{", b"{", b"{") == [late, early, NEVER]
    scorer.restore(0, early)  # it was away, and comes back from an offset before what was scored here
    scorer.restore(1, None)
    assert watermarks(b"{", b"{") == [early, NEVER]
