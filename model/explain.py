"""Which words made a text negative: each is left out in turn, and what the classifier then says is compared.

Erasure (Li et al. 2016, "Understanding Neural Networks through Representation Erasure"): it needs nothing of the model
but its predictions, so it explains exactly what serves. Words that only say something together share little of the
credit: leaving one of two alike out changes little.
"""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from model.classifier import Prediction, TextClassifier
from model.errors import InputError
from model.labels import SENTIMENTS, Sentiment

MOST_WORDS = 120
"""Beyond the tokens that any bundle reads: each costs a prediction."""

FLOOR = 1e-6
"""A probability nearer to 0 or 1 than this says no more."""

_WORD = re.compile(r"\S+")


class Word(NamedTuple):
    """A word of the text and what it did."""

    text: str
    start: int
    """Where it stands in the text, in characters."""
    weight: float
    """By how much it raised the log-odds of the sentiment, in nats; below 0 where it spoke against it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prediction, and what each word did to one sentiment."""

    text: str
    prediction: Prediction
    toward: Sentiment
    words: tuple[Word, ...]
    """In the order of the text."""
    model: str
    """The bundle that was asked."""


def explain(classifier: TextClassifier, text: str, toward: Sentiment = "negative") -> Explanation:
    """Asks the classifier once with each word left out. Raises `InputError` for a text without a word."""
    found = list(_WORD.finditer(text))
    if not found:
        raise InputError("there is no word to explain", fix="give a headline or a sentence")
    spans = [match.span() for match in found[:MOST_WORDS]]
    without = [f"{text[:start]}{text[end:]}" for start, end in spans]
    whole, *others = classifier.classify([text, *without])
    index = SENTIMENTS.index(toward)
    reference = log_odds(whole.probabilities[index])
    words = tuple(
        Word(text[start:end], start, reference - log_odds(other.probabilities[index]))
        for (start, end), other in zip(spans, others, strict=True)
    )
    return Explanation(text, whole, toward, words, classifier.version)


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), with p held within `FLOOR` of 0 and 1."""
    held = min(max(probability, FLOOR), 1 - FLOOR)
    return math.log(held / (1 - held))
