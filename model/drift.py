"""Is what the classifier reads now still what it was made for? Histograms, and their population stability index. Pure.

The index is a symmetric Kullback-Leibler divergence over bins, in nats: the sum of (p - q) ln(p / q). By the custom of
credit scoring, from which it comes (Siddiqi 2006), below 0.1 nothing moved and above 0.25 much did.
"""

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from model.labels import SENTIMENTS, TOPICS

Counts = npt.NDArray[np.float64]

CONFIDENCE_EDGES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LENGTH_EDGES: Final = (6, 9, 13, 18, 24, 32, 48, 95)
"""Tokens, special ones included; a text that fills the bundle's maximum length was cut."""
UNKNOWN_EDGES: Final = (0.0, 0.05, 0.15, 0.3)
"""Share of tokens that the vocabulary does not have: another language or alphabet shows here first."""

FEATURES: Final = {
    "topics": len(TOPICS),
    "sentiments": len(SENTIMENTS),
    "confidence": len(CONFIDENCE_EDGES) + 1,
    "lengths": len(LENGTH_EDGES) + 1,
    "unknown": len(UNKNOWN_EDGES) + 1,
}
"""What is compared, and how many bins it has."""

SMOOTHING = 0.5
"""Added to each bin: one text in a bin that was empty must not be infinitely far away."""

ENOUGH_REFERENCE = 400
"""Texts of a reference: against one of 75 a stream just like it is 0.2 away, by chance alone."""

HALF_AT = 20_000
"""Texts after which a stream's counts are halved, so that its profile follows the last tens of thousands."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The profile of the texts that a bundle was made for, as its manifest keeps it."""

    texts: int
    counts: dict[str, list[int]]
    """By feature; bins as in this module."""


class Profile:
    """Histograms of texts and of what was said of them."""

    def __init__(self, *, half_at: float = HALF_AT) -> None:
        """`half_at`: texts after which recent ones weigh more, as in a stream; endless where all weigh alike."""
        self.texts = 0.0
        self._half_at = half_at
        self._counts = {name: np.zeros(bins) for name, bins in FEATURES.items()}

    def add(
        self,
        topics: npt.ArrayLike,
        sentiments: npt.ArrayLike,
        confidences: npt.ArrayLike,
        lengths: npt.ArrayLike,
        unknown: npt.ArrayLike,
    ) -> None:
        """Takes a batch: predicted labels as indices, topic probabilities, tokens and unknown tokens of each text."""
        texts = np.size(topics)
        if not texts:
            return
        if self.texts >= self._half_at:
            self.texts /= 2
            for counts in self._counts.values():
                counts /= 2
        self.texts += texts
        tokens = np.maximum(np.asarray(lengths), 1)
        for name, bins in (
            ("topics", np.asarray(topics)),
            ("sentiments", np.asarray(sentiments)),
            ("confidence", np.searchsorted(CONFIDENCE_EDGES, confidences, side="right")),
            ("lengths", np.searchsorted(LENGTH_EDGES, lengths, side="right")),
            ("unknown", np.searchsorted(UNKNOWN_EDGES, np.asarray(unknown) / tokens, side="left")),
        ):
            self._counts[name] += np.bincount(bins, minlength=FEATURES[name])

    def reference(self) -> Reference:
        """As a manifest keeps it."""
        counts = {name: [round(value) for value in values] for name, values in self._counts.items()}
        return Reference(texts=round(self.texts), counts=counts)

    def distances(self, reference: Reference) -> dict[str, float]:
        """The population stability index of each feature that the reference has with the same bins."""
        return {
            name: stability_index(np.asarray(reference.counts[name], dtype=np.float64), counts)
            for name, counts in self._counts.items()
            if len(reference.counts.get(name, ())) == len(counts)
        }


def stability_index(expected: Counts, found: Counts) -> float:
    """How far two histograms over the same bins are apart, in nats; 0 where their shares are equal.

    Both are brought to the number of texts of the smaller one first, so that smoothing weighs alike on both.
    """
    size = min(expected.sum(), found.sum())
    if size <= 0:
        return 0.0
    p, q = (
        (counts / counts.sum() * size + SMOOTHING) / (size + SMOOTHING * len(counts)) for counts in (expected, found)
    )
    return float(((p - q) * np.log(p / q)).sum())
