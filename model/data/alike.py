"""Texts that are nearly equal: a held-out one that training nearly saw is no hard question."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import ceil

from model.data.examples import Example

SIMILARITY = 0.7
"""Share of the words of either that both must have. A ticker before a headline or its paper behind it is less."""

_WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
"""Chinese has no spaces: a character is a word there."""


def alike(held_out: Iterable[Example], train: Iterable[Example]) -> frozenset[str]:
    """The keys of the held-out texts that some text that trains is nearly equal to."""
    seen = {words for example in train if (words := _words(example.key))}
    asked = {key: words for example in held_out if (words := _words(key := example.key))}
    return frozenset(key for key, near in zip(asked, _near(list(asked.values()), seen), strict=True) if near)


def _words(key: str) -> frozenset[str]:
    return frozenset(_WORD.findall(key))


def _near(asked: list[frozenset[str]], seen: set[frozenset[str]], similarity: float = SIMILARITY) -> Iterator[bool]:
    """Whether for each of `asked` there is one of `seen` with at least that Jaccard similarity.

    Sets that are so similar share one of their rarest words: of n words in the order of rarity, one of the first
    n - ceil(similarity n) + 1 (the prefix filter of Chaudhuri, Ganti and Kaushik 2006). So few pairs are looked at.
    """
    frequency = Counter(word for words in seen for word in words)

    def rarest(words: frozenset[str]) -> list[str]:
        ordered = sorted(words, key=lambda word: (frequency[word], word))
        return ordered[: len(ordered) - ceil(similarity * len(ordered)) + 1]

    by_word: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for words in seen:
        for word in rarest(words):
            by_word[word].append(words)
    for words in asked:
        candidates = (other for word in rarest(words) for other in by_word.get(word, ()))
        yield any(len(words & other) >= similarity * len(words | other) for other in candidates)
