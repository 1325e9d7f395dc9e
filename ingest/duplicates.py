"""Which documents tell one story: copies of a wire report, retweets, a headline with the site's name behind it. Pure.

Candidates come from MinHash over word pairs with banding (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", 3.4); each is then compared word by word. In doubt two texts are two stories: a copy taken for a
story of its own makes one story weigh more, a story taken for a copy disappears from what the judge sees.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

COMPARED_WORDS = 64
"""Headline and lead: further down, copies are cut and edited."""

MARKED_WORDS = 48
"""Names and numbers are looked for in these, and must stand among the other's compared words: a dateline in front of
one of two copies shifts the rest by a few words."""

FEWEST_WORDS = 5
"""`Morning briefing`, `buy the dip`: shorter texts recur and are no copies."""

SHORT_WORDS = 24
"""Up to here one changed word changes the story (`raises` to `cuts`), so that only something before or behind may
differ. The longest headlines have about this many."""

BANDS, ROWS = 8, 4
"""A pair that shares 80 % of its word pairs meets in some band with probability 1 - (1 - 0.8^4)^8 = 0.985; one that
shares 10 %, with 0.0008."""

BAND_STORIES = 64
"""Newest stories of a band that a document is compared with: headlines made from one pattern, of which only the company
changes, all share their bands. The fullest band of three years of the Guardian's headlines holds 41."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Words; single characters in scripts that put no blanks between words."""
_CHARACTERS = 12 * COMPARED_WORDS

_random = np.random.default_rng(20200309)
_SCALE = _random.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFT = _random.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
_FOLD = _random.integers(1, 2**63, (BANDS, ROWS), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_BAND = _random.integers(0, 2**63, BANDS, dtype=np.uint64)
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd, from xxHash: they mix well


@dataclass(frozen=True, slots=True)
class Signature:
    """What two documents are compared by."""

    lead: str
    """The compared words as they stand, one blank between two."""
    bands: tuple[int, ...]
    """Two near-duplicates have one of these in common, nearly always. Empty where the text is too short."""


@dataclass(frozen=True, slots=True)
class _Story:
    id: str
    event: float
    signature: Signature


def signature(title: str, text: str) -> Signature:
    """Of the title with the first words of the text. Equal texts have equal signatures, in every process."""
    both = text if text.startswith(title) else f"{title} {text}"
    words = _WORD.findall(both[:_CHARACTERS])[:COMPARED_WORDS]
    lead = " ".join(words)
    return Signature(lead, _bands(lead.casefold().split()) if len(words) >= FEWEST_WORDS else ())


def similarity(first: str, second: str) -> float:
    """Share of word pairs that two leads have in common (Jaccard), 0 where they tell different stories all the same.

    Different are leads of which each has a name or a number that the other lacks, and short ones unless one stands
    whole within the other and the rest has no number.
    """
    one, other = _words(first), _words(second)
    if _differ_in_marks(first, one, second, other):
        return 0.0
    if min(len(one), len(other)) <= SHORT_WORDS and not _within(*sorted((one, other), key=len)):
        return 0.0
    pairs, others = set(pairwise(one)), set(pairwise(other))
    return len(pairs & others) / len(pairs | others) if pairs or others else 0.0


class StoryIndex:
    """The heads of known stories, by what they say and when. A search compares at most `BANDS * BAND_STORIES` of them.

    Two documents tell one story when their leads are at least `threshold` similar and their event times at most
    `seconds` apart; of several stories the most similar wins, then the one that came first.
    """

    def __init__(self, *, threshold: float, seconds: float) -> None:
        self._threshold = threshold
        self._seconds = seconds
        self._stories: dict[int, _Story] = {}
        self._bands: dict[int, tuple[int, ...]] = {}  # tuples, as nearly all hold one number
        self._next = 0

    def __len__(self) -> int:
        return len(self._stories)

    def find(self, wanted: Signature, event: float) -> str:
        """The id of the story that a document with event time `event` (seconds) tells; empty where it is new."""
        best, found = 0.0, ""
        for number in sorted({number for band in wanted.bands for number in self._bands.get(band, ())}):
            story = self._stories[number]
            if abs(story.event - event) > self._seconds:
                continue
            alike = similarity(wanted.lead, story.signature.lead)
            if alike >= self._threshold and alike > best:
                best, found = alike, story.id
        return found

    def add(self, head: Signature, event: float, story: str) -> int:
        """Takes a document as what `story` says; returns the number that `remove` takes."""
        number = self._next
        self._next += 1
        self._stories[number] = _Story(story, event, head)
        for band in head.bands:
            self._bands[band] = (*self._bands.get(band, ())[1 - BAND_STORIES :], number)
        return number

    def remove(self, number: int) -> None:
        """Forgets what `add` gave the number for."""
        for band in self._stories.pop(number).signature.bands:
            others = tuple(member for member in self._bands.pop(band, ()) if member != number)
            if others:
                self._bands[band] = others


def _bands(words: list[str]) -> tuple[int, ...]:
    hashes = np.fromiter((crc32(word.encode("utf-8", "surrogatepass")) for word in words), np.uint64, len(words))
    pairs = hashes[:-1] * _FIRST + hashes[1:] * _SECOND
    pairs ^= pairs >> np.uint64(29)
    rows: NDArray[np.uint64] = ((pairs[:, None] * _SCALE + _SHIFT) >> np.uint64(32)).min(axis=0)
    folded = (rows.reshape(BANDS, ROWS) * _FOLD).sum(axis=1, dtype=np.uint64) + _BAND
    return tuple(folded.tolist())


def _words(lead: str) -> list[str]:
    return lead.casefold().split()


def _differ_in_marks(first: str, one: list[str], second: str, other: list[str]) -> bool:
    here, there = _marks(first) - set(other), _marks(second) - set(one)
    return bool(here and there)


def _marks(lead: str) -> set[str]:
    """The words that tell companies and figures apart: capitals and digits, or all where case says nothing."""
    words = lead.split()[:MARKED_WORDS]
    marked = [word for word in words if not word.islower()]
    if len(marked) <= 1:
        marked = words
    return {word.casefold() for word in marked}


def _within(shorter: list[str], longer: list[str]) -> bool:
    size = len(shorter)
    for start in range(len(longer) - size + 1):
        if longer[start : start + size] == shorter:
            return not _has_number(longer[:start]) and not _has_number(longer[start + size :])
    return False


def _has_number(words: Iterable[str]) -> bool:
    return any(character.isdigit() for word in words for character in word)
