"""Which words made a text negative: each is left out in turn, and what the classifier then says is compared.

Erasure (Li et al. 2016, "Understanding Neural Networks through Representation Erasure"): it needs nothing of the model
but its predictions, so it explains exactly what serves. Words that only say something together share little of the
credit: leaving one of two alike out changes little.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from model.classifier import Prediction, TextClassifier
from model.errors import InputError
from model.labels import SENTIMENTS, Sentiment
from model.text import says_nothing

Spans = list[tuple[int, int]]
"""Parts of a text, as (start, end) in characters."""

MOST_WORDS = 512
"""Each costs a prediction. An encoder of BERT's kind reads no more tokens: this bounds a classifier that does not say
where it stops reading."""

FLOOR = 1e-6
"""A probability nearer to 0 or 1 than this says no more."""

_WORD = re.compile(r"\S+")
_NO_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Han and kana: there words follow each other without spaces."""

_PUNCTUATION = "，。、；：！？（）【】《》“”…"
"""After it no space stands either."""


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
    cut: bool = False
    """The text goes on after `words`, which are all that is read of it."""


def explain(classifier: TextClassifier, text: str, toward: Sentiment = "negative") -> Explanation:
    """Asks the classifier once with each word left out. Raises `InputError` for a text without a word that is read.

    Where a language writes no spaces, the classifier's own tokens are the words, or single characters. What it does
    not read is cut off first: else words from behind the end would move up into the place of one that is left out.
    """
    spans, cut = _read_words(classifier, text)
    if not spans or says_nothing(text):
        raise InputError("there is no word to explain", fix="give a headline or a sentence")
    read = text[: spans[-1][1]] if cut else text
    without = [f"{read[:start]}{read[end:]}" for start, end in spans]
    whole, with_all, *others = classifier.classify([text, read, *without])
    index = SENTIMENTS.index(toward)
    reference = log_odds(with_all.probabilities[index])
    words = tuple(
        Word(text[start:end], start, reference - log_odds(other.probabilities[index]))
        for (start, end), other in zip(spans, others, strict=True)
    )
    return Explanation(text, whole, toward, words, classifier.version, cut)


def _read_words(classifier: TextClassifier, text: str) -> tuple[Spans, bool]:
    """Where the words stand that are read, the last of them perhaps in part, and whether there are more."""
    spans = list(islice(words_of(text, classifier.pieces), MOST_WORDS + 1))
    full = bisect_left(spans, True, key=lambda span: classifier.is_full(text[: span[1]]))
    count = min(len(spans), MOST_WORDS, full + 1)
    return spans[:count], count < len(spans)


def words_of(text: str, pieces_of: Callable[[str], Spans]) -> Iterator[tuple[int, int]]:
    """Where the words of a text stand; punctuation belongs to a word beside it.

    `pieces_of` says where tokens stand, and is asked only for a text that has words without spaces between.
    """
    starts: Collection[int] | None = None
    for match in _WORD.finditer(text):
        if not _NO_SPACES.search(match[0]):
            yield match.span()
            continue
        if starts is None:
            pieces = pieces_of(text)
            # Past the last token, treat each character as a word, so that the cut can fall exactly where reading stops.
            starts = {start for start, _ in pieces}.union(range(pieces[-1][1] if pieces else 0, len(text)))
        yield from _without_spaces(text, match.span(), starts)


def _without_spaces(text: str, span: tuple[int, int], starts: Collection[int]) -> Iterator[tuple[int, int]]:
    """Cuts where a token starts at a character without spaces, where the script changes, and after a comma."""
    begin, end = span
    has_word = False
    for place in range(begin, end):
        one, before = text[place], text[place - 1] if place > begin else ""
        cut = bool(_NO_SPACES.match(one)) != bool(_NO_SPACES.match(before)) or before in _PUNCTUATION
        if has_word and one.isalnum() and (cut or (_NO_SPACES.match(one) and place in starts)):
            yield begin, place
            begin = place
        has_word = has_word or one.isalnum()
    yield begin, end


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), with p held within `FLOOR` of 0 and 1."""
    held = min(max(probability, FLOOR), 1 - FLOOR)
    return math.log(held / (1 - held))
