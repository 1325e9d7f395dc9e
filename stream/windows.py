"""Windows: sums of buckets over minutes and partitions. Pure arithmetic on whole numbers, so no order matters."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from heapq import nsmallest
from typing import NamedTuple

from stream.records import Bucket, Evidence

MINUTES_PER_HOUR = 60
MINUTES_PER_DAY = 24 * 60


class Counts(NamedTuple):
    """What a window holds."""

    documents: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    stories: int = 0
    negative_stories: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: "Counts") -> "Counts":
        return Counts(*(a - b for a, b in zip(self, other, strict=True)))

    @property
    def share(self) -> float:
        """Negative stories among the stories, 0 where there are none."""
        return self.negative_stories / self.stories if self.stories else 0.0

    @classmethod
    def of(cls, bucket: Bucket) -> "Counts":
        return cls(
            bucket.documents,
            bucket.negative,
            bucket.neutral,
            bucket.positive,
            bucket.stories,
            bucket.negative_stories,
        )


NOTHING = Counts()


def minute_of(moment: datetime) -> int:
    """The minute that holds `moment`, counted from the epoch."""
    return int(moment.timestamp() // 60)


def moment_of(minute: int) -> datetime:
    """The start of a minute that `minute_of` gave."""
    return datetime.fromtimestamp(minute * 60, UTC)


class _Sums:
    """Counts by a span of time: minutes, hours or days. Changed in place: a topic of a month has 40,000 of them."""

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        self._cells: dict[int, list[int]] = {}

    def add(self, minute: int, counts: Counts, sign: int) -> None:
        span = minute // self.minutes
        cell = self._cells.get(span)
        if cell is None:
            self._cells[span] = [sign * count for count in counts]
            return
        for place, count in enumerate(counts):
            cell[place] += sign * count
        if sign < 0 and not any(cell):
            del self._cells[span]

    def at(self, minute: int) -> list[int] | None:
        """The counts of the span that begins at `minute`."""
        return self._cells.get(minute // self.minutes)


class _TopicTable:
    """One topic's buckets, with sums by minute, hour and day so that a week is some 200 additions."""

    def __init__(self) -> None:
        self.minutes: list[int] = []
        """The minutes that have a bucket, sorted."""
        self._buckets: dict[int, dict[int, Bucket]] = {}  # minute -> partition -> bucket
        self._sums = (_Sums(MINUTES_PER_DAY), _Sums(MINUTES_PER_HOUR), _Sums(1))

    def put(self, bucket: Bucket) -> bool:
        minute = minute_of(bucket.minute)
        partitions = self._buckets.get(minute)
        if partitions is None:
            partitions = self._buckets[minute] = {}
            if self.minutes and minute < self.minutes[-1]:
                insort(self.minutes, minute)
            else:
                self.minutes.append(minute)
        known = partitions.get(bucket.partition)
        if known is not None:
            if known.applied > bucket.applied:
                return False
            self._add(minute, Counts.of(known), -1)
        partitions[bucket.partition] = bucket
        self._add(minute, Counts.of(bucket), 1)
        return True

    def _add(self, minute: int, counts: Counts, sign: int) -> None:
        for sums in self._sums:
            sums.add(minute, counts, sign)

    def sum(self, start: int, end: int) -> Counts:
        total = [0] * len(NOTHING)
        for part in self._parts(start, end):
            for place, count in enumerate(part):
                total[place] += count
        return Counts(*total)

    def _parts(self, start: int, end: int) -> Iterator[list[int]]:
        """The largest sums that tile [start, end), skipping what is empty."""
        at = start
        while at < end:
            # The last kind, minutes, always fits.
            sums = next(s for s in self._sums if at % s.minutes == 0 and at + s.minutes <= end)
            part = sums.at(at)
            if part is not None:
                yield part
            at += sums.minutes

    def between(self, start: int, end: int) -> Iterator[Bucket]:
        """The buckets of [start, end), by minute and partition."""
        for minute in self.minutes[bisect_left(self.minutes, start) : bisect_left(self.minutes, end)]:
            for _, bucket in sorted(self._buckets[minute].items()):
                yield bucket

    def drop_before(self, minute: int) -> None:
        old = bisect_left(self.minutes, minute)
        for past in self.minutes[:old]:
            for bucket in self._buckets.pop(past).values():
                self._add(past, Counts.of(bucket), -1)
        del self.minutes[:old]


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


class WindowTable:
    """All buckets of all topics and partitions that were put in and not yet dropped.

    Of two values of one bucket the one with the higher `applied` stays, whatever order they come in (a late write
    of a worker that lost its partition cannot win). Minutes are counted from the epoch, as `minute_of` does.
    """

    def __init__(self) -> None:
        self._topics: dict[str, _TopicTable] = {}

    def put(self, bucket: Bucket) -> bool:
        """Takes a bucket; False where a newer value of it was there."""
        return self._topics.setdefault(bucket.topic, _TopicTable()).put(bucket)

    def topics(self) -> list[str]:
        """The topics that have a bucket, sorted."""
        return sorted(topic for topic, table in self._topics.items() if table.minutes)

    def minutes(self, topic: str) -> Sequence[int]:
        """The minutes in which the topic has a bucket, sorted: a live view, not to be changed."""
        table = self._topics.get(topic)
        return table.minutes if table else ()

    def window(self, topic: str, end: int, length: int) -> Counts:
        """The sum over the minutes [end - length, end) and every partition."""
        table = self._topics.get(topic)
        return table.sum(end - length, end) if table else NOTHING

    def series(self, topic: str, end: int, step: int, steps: int) -> list[Counts]:
        """`steps` neighbouring windows of `step` minutes, oldest first, the last one ending at `end`."""
        return [self.window(topic, end - step * back, step) for back in range(steps - 1, -1, -1)]

    def evidence(self, topic: str, end: int, length: int, limit: int) -> tuple[Evidence, ...]:
        """The most negative headlines of a window, as `most_negative` chooses them."""
        table = self._topics.get(topic)
        if table is None:
            return ()
        return most_negative((item for b in table.between(end - length, end) for item in b.evidence), limit)

    def buckets(self) -> Iterator[Bucket]:
        """Every bucket, by topic, minute and partition."""
        for topic in self.topics():
            table = self._topics[topic]
            yield from table.between(table.minutes[0], table.minutes[-1] + 1)

    def next_moment(self, after: datetime) -> datetime | None:
        """The minute of the first bucket after that moment; None where there is none."""
        minute = minute_of(after)
        found = []
        for topic in self.topics():
            minutes = self.minutes(topic)
            if (place := bisect_right(minutes, minute)) < len(minutes):
                found.append(minutes[place])
        return moment_of(min(found)) if found else None

    def span(self) -> tuple[int, int] | None:
        """The first minute that has a bucket and the one after the last; None where there is none."""
        held = [table.minutes for table in self._topics.values() if table.minutes]
        return (min(minutes[0] for minutes in held), max(minutes[-1] for minutes in held) + 1) if held else None

    def drop_before(self, minute: int) -> None:
        """Forgets the buckets of earlier minutes."""
        for table in self._topics.values():
            table.drop_before(minute)
