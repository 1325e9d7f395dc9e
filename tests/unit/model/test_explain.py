"""Erasure over a classifier whose reasons are known."""

import math
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.classifier import Prediction
from model.errors import InputError
from model.explain import MOST_WORDS, explain, log_odds


class Additive:
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
    with pytest.raises(InputError, match="no word"):
        explain(Additive(), " \n ")


def test_a_text_without_end_costs_no_more_than_its_first_words() -> None:
    assert len(explain(Additive(), "word " * 50_000).words) == MOST_WORDS


def test_certainty_is_finite() -> None:
    assert math.isfinite(log_odds(0.0))
    assert log_odds(1.0) == pytest.approx(-log_odds(0.0))
