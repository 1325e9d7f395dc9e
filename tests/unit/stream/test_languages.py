"""Batches of several languages: each document by the bundle of its own, rightly named; trials one slot at a time."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.routing import DEFAULT, Router
from stream.errors import ModelSickError
from stream.live_model import Batch, LiveModel
from stream.records import encode
from stream.scoring import Received, Scorer, by_language, by_one
from stream.shadow import Shadow
from tests.unit.stream.classifiers import NOW, Known, batch, document, loaded, on_documents, on_everything

ENGLISH = "The central bank cut its interest rate today"
CHINESE = "央行意外降息"
GERMAN = "Die Zentralbank senkt überraschend den Leitzins"
TICKERS = "$TSLA $AAPL"
BROKEN = ""
TRIAL = 2

MODELS = {ENGLISH: "bundle-1", CHINESE: "bundle-2", GERMAN: "bundle-1", TICKERS: "bundle-1", BROKEN: ""}
LANGUAGES = {ENGLISH: "en", CHINESE: "zh", GERMAN: "de", TICKERS: "", BROKEN: ""}


def live_model(default: Known, chinese: Known) -> LiveModel:
    return LiveModel(loaded(default), {"zh": loaded(chinese)}, trial_batches=TRIAL)


LIVE = live_model(Known(1), Known(2))
"""For those that change nothing."""


def score(live: LiveModel, *texts: str) -> Batch:
    return live.score(Scorer(topic="documents", max_text_bytes=1000), batch(*texts), NOW)


@given(st.lists(st.sampled_from(sorted(MODELS)), max_size=10))
def test_every_document_comes_back_in_its_place_from_the_bundle_of_its_language(texts: list[str]) -> None:
    scored = score(LIVE, *texts)

    documents = [item.document for item in scored.scored]
    assert [one.origin for one in documents] == list(range(len(texts)))
    assert [one.dead for one in documents] == [text == BROKEN for text in texts]
    assert [one.title for one in documents] == texts
    assert [one.model for one in documents] == [MODELS[text] for text in texts]
    assert [one.language for one in documents] == [LANGUAGES[text] for text in texts]
    assert [one.fallback for one in documents] == [text in (GERMAN, TICKERS) for text in texts]
    topics = {"bundle-1": Known(1).topic, "bundle-2": Known(2).topic, "": ""}
    assert [one.topic for one in documents] == [topics[MODELS[text]] for text in texts]
    assert {key: part.model for key, part in scored.parts.items()} == {
        "zh" if text == CHINESE else DEFAULT: MODELS[text] for text in texts if text != BROKEN
    }


@given(st.lists(st.tuples(st.sampled_from([ENGLISH, CHINESE]), st.integers(0, 50)), max_size=10))
def test_watermarks_rise_in_the_order_of_the_log_whoever_reads_a_document(given: list[tuple[str, int]]) -> None:
    def values() -> list[bytes]:
        return [
            encode(msgspec.structs.replace(document(text), published_at=NOW - timedelta(minutes=minutes)))
            for text, minutes in given
        ]

    received = [Received(0, place, int(NOW.timestamp() * 1000), b"", value) for place, value in enumerate(values())]
    scored = Scorer(topic="", max_text_bytes=1000).score(
        received, NOW, by_language(Router("en", ["zh"]), {DEFAULT: Known(1), "zh": Known(2)})
    )
    highest = [min(minutes for _, minutes in given[: place + 1]) for place in range(len(given))]
    assert [item.document.watermark for item in scored] == [NOW - timedelta(minutes=one) for one in highest]


def test_what_a_source_says_of_its_language_decides_where_the_text_does_not() -> None:
    declared = encode(msgspec.structs.replace(document(TICKERS), language="zh"))
    scored = LIVE.score(
        Scorer(topic="", max_text_bytes=1000), [Received(0, 0, int(NOW.timestamp() * 1000), b"", declared)], NOW
    )
    (item,) = scored.scored
    assert (item.document.model, item.document.language, item.document.fallback) == ("bundle-2", "zh", False)


def test_with_one_bundle_a_record_says_of_languages_what_is_plain_and_nothing_else() -> None:
    chinese, *others = score(LiveModel(loaded(Known(1))), CHINESE, GERMAN, ENGLISH).scored
    assert (chinese.document.language, chinese.document.fallback) == ("zh", True)
    for item in others:  # a guess would tell the German one
        assert b"language" not in encode(item.document)
        assert b"fallback" not in encode(item.document)


def test_a_swap_concerns_one_slot_and_only_its_documents_are_its_trial() -> None:
    live = live_model(Known(1), Known(2))
    live.slots["zh"].swap(loaded(Known(3)))

    for _ in range(2 * TRIAL):
        assert score(live, ENGLISH).verdicts == []
    assert live.slots["zh"].on_trial
    first = score(live, ENGLISH, CHINESE)
    assert [item.document.model for item in first.scored] == ["bundle-1", "bundle-3"]
    (verdict,) = score(live, CHINESE).verdicts

    assert (verdict.slot, verdict.reason, verdict.tried.classifier.version) == ("zh", "", "bundle-3")
    assert not live.slots["zh"].on_trial
    assert live.default.version == "bundle-1"


def test_a_bad_bundle_of_one_language_is_taken_back_and_the_others_go_on() -> None:
    default, chinese, bad = Known(1), Known(2), Known(3, on_documents)
    live = live_model(default, chinese)
    live.slots["zh"].swap(loaded(bad))

    scored = score(live, ENGLISH, CHINESE)

    assert [item.document.model for item in scored.scored] == ["bundle-1", "bundle-2"]
    (verdict,) = scored.verdicts
    assert verdict.slot == "zh"
    assert "bundle-3 cannot" in verdict.reason
    assert (bad.closed, default.closed, chinese.closed) == (True, False, False)


def test_a_verdict_of_a_batch_that_another_slot_failed_is_told_with_the_next() -> None:
    sick = Known(2, on_everything)
    live = live_model(Known(1), sick)
    live.default.swap(loaded(Known(3, on_documents)))

    with pytest.raises(ModelSickError, match="bundle-2 cannot"):
        score(live, ENGLISH, CHINESE)
    assert live.default.version == "bundle-1"
    sick.fails = lambda _text: False
    (verdict,) = score(live, ENGLISH, CHINESE).verdicts
    assert verdict.tried.classifier.version == "bundle-3"


def test_at_the_end_the_bundles_of_all_languages_are_closed() -> None:
    bundles = [Known(1), Known(2), Known(3)]
    live = live_model(bundles[0], bundles[1])
    live.slots["zh"].swap(loaded(bundles[2]))
    live.close()
    assert all(one.closed for one in bundles)


def test_a_shadow_of_one_language_compares_its_documents_alone() -> None:
    shadow = Shadow(loaded(Known(3)), max_text_bytes=1000, slot="zh")
    received = batch(ENGLISH, CHINESE, BROKEN, CHINESE)
    scored = LIVE.score(Scorer(topic="", max_text_bytes=1000), received, NOW)

    assert shadow.concerns(scored) == 2
    shadow.compare(received, scored, NOW)
    assert (shadow.disagreement.documents, shadow.disagreement.topics) == (2, 2)

    only_english = score(LIVE, ENGLISH)
    assert shadow.concerns(only_english) == 0
    shadow.compare(batch(ENGLISH), only_english, NOW)
    assert shadow.disagreement.documents == 2


def test_one_classifier_for_all_says_nothing_of_languages() -> None:
    scored = Scorer(topic="", max_text_bytes=1000).score(batch(CHINESE, GERMAN), NOW, by_one(Known(1)))
    assert [(item.document.model, item.bundle) for item in scored] == [("bundle-1", DEFAULT)] * 2
