"""How far a shadow differs from what is live, for `finsentry promote`: in a line, in words, as an object. Pure."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from stream.records import Disagreement, Sentiment

TELL_SECONDS = 30.0
"""How often a log is told how far a shadow is."""

SOON_SECONDS = 5.0
"""The same where much has changed."""

MUCH = 0.05
"""A change of a share that is worth a line of its own."""

ENOUGH_DOCUMENTS = 100
"""Shares of fewer go up and down by chance."""


class Pace:
    """When a log is told again."""

    def __init__(self, now: float) -> None:
        """`now` and those after it: seconds of one clock."""
        self._at = now
        self._said = Disagreement()

    def is_due(self, found: Disagreement, now: float) -> bool:
        """Whether `found` is to be said now; then it counts as said."""
        since = now - self._at
        is_first = found.documents > 0 and not self._said.documents
        if not (is_first or since >= TELL_SECONDS or (since >= SOON_SECONDS and _differ(self._said, found))):
            return False
        self._at, self._said = now, found
        return True


def _differ(said: Disagreement, found: Disagreement) -> bool:
    if min(said.documents, found.documents) < ENOUGH_DOCUMENTS:
        return False
    before, after = _shares(said), _shares(found)
    return any(abs(before[head] - after[head]) >= MUCH for head in ("topic", "sentiment"))


def _shares(found: Disagreement) -> dict[str, float]:
    many = max(1, found.documents)
    return {
        "topic": found.topics / many,
        "sentiment": found.sentiments / many,
        "negative": found.negative / many,
    }


def in_brief(found: Disagreement) -> str:
    """While it runs."""
    if not found.documents:
        return "nothing compared yet"
    shares = _shares(found)
    return (
        f"{found.documents:,} compared, {shares['topic']:.1%} another topic,"
        f" {shares['sentiment']:.1%} another sentiment"
    )


def in_words(found: Disagreement) -> Iterator[str]:
    """The result, line by line: shares, then which sentiments and topics, then examples."""
    plain = as_object(found)
    yield (
        f"{found.documents:,} documents compared: {plain['topic']:.2%} get another topic,"
        f" {plain['sentiment']:.2%} another sentiment; the negative probability differs by"
        f" {plain['negative']:.4f} on average"
    )
    if found.failed:
        yield f"{found.failed:,} documents it could not classify, and the live one could"
    if found.skipped:
        yield f"{found.skipped:,} more came while it was busy and were not compared"
    if found.sentiment_matrix:
        yield from _matrix(found, plain["sentiments"])
    if found.topics_from:
        yield f"\n{'another topic':<30}{'no longer':>12}{'now':>12}"
        for topic, moved in sorted(plain["topics"].items(), key=lambda item: -sum(item[1].values())):
            yield f"  {topic:<28}{moved['from']:>12,}{moved['to']:>12,}"
    if found.flips:
        yield "\nanother sentiment, where the two are furthest apart:"
        for flip in found.flips:
            yield f"  {flip.live} -> {flip.shadow}: {_printable(flip.title)}"


def _matrix(found: Disagreement, matrix: dict[str, dict[str, int]]) -> Iterator[str]:
    counted = sum(sum(row.values()) for row in matrix.values())
    of = "" if counted == found.documents else f" ({counted:,} documents: a worker of an earlier version says no more)"
    yield f"\nsentiment, the live one in rows and its own in columns{of}:"
    yield f"{'':<12}" + "".join(f"{name:>12}" for name in matrix)
    for name, row in matrix.items():
        yield f"  {name:<10}" + "".join(f"{count:>12,}" for count in row.values())


def as_object(found: Disagreement) -> dict[str, Any]:
    """All of it for a program: shares of the documents that were compared, and counts."""
    names = get_args(Sentiment)
    return {
        "documents": found.documents,
        **_shares(found),
        "failed": found.failed,
        "skipped": found.skipped,
        "sentiments": {
            live: {shadow: found.sentiment_matrix.get(live, {}).get(shadow, 0) for shadow in names} for live in names
        },
        "topics": {
            topic: {"from": found.topics_from.get(topic, 0), "to": found.topics_to.get(topic, 0)}
            for topic in sorted(found.topics_from | found.topics_to)
        },
        "flips": [msgspec.to_builtins(flip) for flip in found.flips],
    }


def _printable(title: str) -> str:
    """What came from the web must not move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in title)
