"""Which headlines stand for a window: the most negative, each title once. Pure."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from heapq import nsmallest

from stream.records import Evidence


def most_negative(items: Iterable[Evidence], limit: int) -> tuple[Evidence, ...]:
    """The `limit` most negative headlines, most negative first; of those with one title the most negative stands.

    It may be asked of parts and then of what it chose from each: the answer is the same as for all at once.
    """
    best: dict[str, Evidence] = {}
    for item in items:
        if item.title not in best or _rank(item) < _rank(best[item.title]):
            best[item.title] = item
    return tuple(nsmallest(limit, best.values(), key=_rank))


def _rank(item: Evidence) -> tuple[float, datetime, str]:
    # Ties are decided by what the headlines say, never by the order in which they were read.
    return -item.negative, item.published_at, item.id


class Showable:
    """Which headlines a window that ends after all of them may show, found from the latest minute back."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._best: dict[str, tuple[float, datetime, str]] = {}
        """By title, of the minutes so far."""
        self._ranks: list[tuple[float, datetime, str]] = []
        """Of the titles, sorted; those after the first `keep` decide nothing."""

    def of_minute(self, items: Iterable[Evidence]) -> set[int]:
        """`id`s of those of a minute, no later than the one before, that may be shown where it is in the window."""
        found = set()
        for item in sorted(items, key=_rank):
            rank, known = _rank(item), self._best.get(item.title)
            if known is not None and known <= rank:
                continue  # a window with this one has the other, too
            place = bisect_left(self._ranks, rank)
            if place >= self._keep:
                continue
            if known is not None and known in self._ranks:
                self._ranks.remove(known)
            self._best[item.title] = rank
            self._ranks.insert(place, rank)
            del self._ranks[self._keep :]
            found.add(id(item))
        return found
