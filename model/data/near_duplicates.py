"""Held-out texts that training nearly saw."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import ceil

SIMILARITY = 0.7
"""Of two texts' distinct words, the share that both must have (Jaccard). A headline with a ticker before it, or its
paper behind it, is above; order and meaning do not count, so "rises 3 %" is near "falls 3 %"."""

_WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
"""Chinese has no spaces: a character is a word there."""


def near_duplicates(held_out: Iterable[str], train: Iterable[str]) -> frozenset[str]:
    """Those of the keys of held-out texts (`Example.key`) that are as similar as `SIMILARITY` to a text that trains."""
    seen = {words for key in set(train) if (words := _words(key))}
    asked = [(key, words) for key in set(held_out) if (words := _words(key))]
    found = _near([words for _, words in asked], seen)
    return frozenset(key for (key, _), near in zip(asked, found, strict=True) if near)


def _words(key: str) -> frozenset[str]:
    return frozenset(_WORD.findall(key))


def _near(asked: list[frozenset[str]], seen: set[frozenset[str]]) -> Iterator[bool]:
    """Whether for each of `asked` there is one of `seen` that is as similar.

    Sets that are so similar share one of their rarest words: of n words in the order of rarity, one of the first
    n - ceil(similarity n) + 1 (the prefix filter of Chaudhuri, Ganti and Kaushik 2006). So few pairs are looked at.
    """
    frequency = Counter(word for words in seen for word in words)

    def rarest(words: frozenset[str]) -> list[str]:
        ordered = sorted(words, key=lambda word: (frequency[word], word))
        return ordered[: len(ordered) - ceil(SIMILARITY * len(ordered)) + 1]

    by_word: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for words in seen:
        for word in rarest(words):
            by_word[word].append(words)
    for words in asked:
        candidates = (other for word in rarest(words) for other in by_word.get(word, ()))
        yield any(len(words & other) >= SIMILARITY * len(words | other) for other in candidates)
