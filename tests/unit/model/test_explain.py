"""Erasure over a classifier whose reasons are known."""

import math
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.classifier import Classifier, Prediction, TextClassifier
from model.errors import InputError
from model.explain import MOST_WORDS, explain, log_odds, words_of


class Additive(TextClassifier):
    """A classifier in which each word adds to the log-odds of negative on its own."""

    version = "additive"
    weights: ClassVar = {"collapse": 2.0, "fraud": 1.0, "record": -1.5}

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return [self._of(text) for text in texts]

    def _of(self, text: str) -> Prediction:
        negative = 1 / (1 + math.exp(-sum(self.weights.get(word, 0.0) for word in text.split())))
        return Prediction("Macro", 0.9, "negative", (negative, 0.0, 1 - negative))


@given(st.lists(st.sampled_from(["collapse", "fraud", "record", "of", "the"]), min_size=1, max_size=6, unique=True))
def test_each_word_has_the_weight_that_it_adds(words: list[str]) -> None:
    found = explain(Additive(), "  ".join(words))
    assert [word.text for word in found.words] == words
    for word in found.words:
        assert word.weight == pytest.approx(Additive.weights.get(word.text, 0.0), abs=1e-9)
        assert found.text[word.start :].startswith(word.text)


def test_the_weights_of_another_sentiment_are_its_own() -> None:
    (word,) = explain(Additive(), "record", "positive").words
    assert word.weight == pytest.approx(1.5)


def test_a_text_without_a_word_is_an_error() -> None:
    for text in (" \n ", "https://a.b/c", "www.a.b https://a.b/c", "\u200b \u00ad", "══════"):
        with pytest.raises(InputError, match="no word"):
            explain(Additive(), text)


def test_a_text_without_end_costs_no_more_than_its_first_words() -> None:
    found = explain(Additive(), "word " * 50_000)
    assert len(found.words) == MOST_WORDS
    assert found.cut


class Short(Additive):
    """Reads the first `length` words alone."""

    length = 4

    def is_full(self, text: str) -> bool:
        return len(text.split()) >= self.length

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return super().classify([" ".join(text.split()[: self.length]) for text in texts])


@given(st.lists(st.sampled_from(["collapse", "fraud", "record", "of", "the"]), min_size=1, max_size=8))
def test_what_is_not_read_is_cut_off_and_moves_up_for_no_word(words: list[str]) -> None:
    found = explain(Short(), " ".join(words))
    assert [word.text for word in found.words] == words[:4]
    assert found.cut == (len(words) > 4)
    for word in found.words:
        assert word.weight == pytest.approx(Additive.weights.get(word.text, 0.0), abs=1e-9)
    assert found.prediction == Short().classify([" ".join(words)])[0]


@pytest.mark.parametrize("unit", ["Regulator shuts down the lender https://example.com/a ", "央行降息，", "🚀 up "])
def test_the_shipped_bundle_is_asked_for_no_more_than_it_reads(shipped: Classifier, unit: str) -> None:
    text = unit * (100_000 // len(unit))
    found = explain(shipped, text)
    assert found.cut
    # The last word is the first after which nothing is read: with the words before it there was room for it.
    read, before = text[: found.words[-1].start + len(found.words[-1].text)], text[: found.words[-1].start]
    assert shipped.is_full(read)
    assert not shipped.is_full(before)
    assert shipped.classify([read]) == shipped.classify([text]) == [found.prediction]
    assert not explain(shipped, before).cut


def test_certainty_is_finite() -> None:
    assert math.isfinite(log_odds(0.0))
    assert log_odds(1.0) == pytest.approx(-log_odds(0.0))


def in_pairs(text: str) -> list[tuple[int, int]]:
    """The pieces of a classifier that takes a text apart two characters at a time."""
    return [(start, min(start + 2, len(text))) for start in range(0, len(text), 2)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("央行降息", ["央行", "降息"]),
        ("央行，降息。", ["央行，", "降", "息。"]),
        ("【央行降息】", ["【央", "行降", "息】"]),
        ("特斯拉Model Y跌5%，TSLA", ["特斯", "拉", "Model", "Y", "跌", "5%，", "TSLA"]),
        ("Shares of 央行降息 fell, again", ["Shares", "of", "央行", "降息", "fell,", "again"]),
        ("“yes”，no", ["“yes”，no"]),  # punctuation alone makes no Chinese
        ("。。。", ["。。。"]),
    ],
)
def test_where_no_spaces_stand_the_classifiers_pieces_are_the_words(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in words_of(text, in_pairs)] == words


def test_without_pieces_each_character_is_a_word() -> None:
    assert [(word.text, word.start) for word in explain(Additive(), "央行 降息").words] == [
        ("央", 0),
        ("行", 1),
        ("降", 3),
        ("息", 4),
    ]


@given(st.text(st.sampled_from("央行降息，。 aB5%は【"), max_size=30))
def test_words_cover_all_but_the_white_space_once_and_in_order(text: str) -> None:
    spans = list(words_of(text, in_pairs))
    covered = [place for start, end in spans for place in range(start, end)]
    assert covered == [place for place, one in enumerate(text) if not one.isspace()]
