"""Windows: sums of buckets over minutes and partitions. Pure arithmetic on whole numbers, so no order matters."""

from collections.abc import Iterable, Iterator
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


class _TopicTable:
    """One topic's buckets, with partial sums by minute, hour and day so that a week is some 200 additions."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[int, int], Bucket] = {}  # (minute, partition)
        self.minutes: dict[int, Counts] = {}
        self.hours: dict[int, Counts] = {}
        self.days: dict[int, Counts] = {}
        self.partitions: dict[int, set[int]] = {}  # minute -> partitions that have it

    def put(self, bucket: Bucket) -> bool:
        minute = minute_of(bucket.minute)
        place = (minute, bucket.partition)
        known = self.buckets.get(place)
        if known is not None and known.applied > bucket.applied:
            return False
        change = Counts.of(bucket).minus(Counts.of(known) if known else NOTHING)
        self.buckets[place] = bucket
        self.partitions.setdefault(minute, set()).add(bucket.partition)
        self._add(minute, change)
        return True

    def _add(self, minute: int, change: Counts) -> None:
        for table, key in (
            (self.minutes, minute),
            (self.hours, minute // MINUTES_PER_HOUR),
            (self.days, minute // MINUTES_PER_DAY),
        ):
            total = table.get(key, NOTHING).plus(change)
            if any(total):
                table[key] = total
            else:
                table.pop(key, None)

    def sum(self, start: int, end: int) -> Counts:
        total = [0] * len(NOTHING)
        for part in self._parts(start, end):
            for index, value in enumerate(part):
                total[index] += value
        return Counts(*total)

    def _parts(self, start: int, end: int) -> Iterator[Counts]:
        """The largest partial sums that tile [start, end), skipping what is empty."""
        at = start
        while at < end:
            if at % MINUTES_PER_DAY == 0 and at + MINUTES_PER_DAY <= end:
                table, key, step = self.days, at // MINUTES_PER_DAY, MINUTES_PER_DAY
            elif at % MINUTES_PER_HOUR == 0 and at + MINUTES_PER_HOUR <= end:
                table, key, step = self.hours, at // MINUTES_PER_HOUR, MINUTES_PER_HOUR
            else:
                table, key, step = self.minutes, at, 1
            part = table.get(key)
            if part is not None:
                yield part
            at += step

    def between(self, start: int, end: int) -> Iterator[Bucket]:
        if end - start < len(self.partitions):
            minutes: Iterable[int] = (minute for minute in range(start, end) if minute in self.partitions)
        else:
            minutes = sorted(minute for minute in self.partitions if start <= minute < end)
        for minute in minutes:
            for partition in sorted(self.partitions[minute]):
                yield self.buckets[minute, partition]

    def drop_before(self, minute: int) -> None:
        for old in [m for m in self.partitions if m < minute]:
            for partition in self.partitions.pop(old):
                bucket = self.buckets.pop((old, partition))
                self._add(old, NOTHING.minus(Counts.of(bucket)))


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
        return sorted(topic for topic, table in self._topics.items() if table.buckets)

    def window(self, topic: str, end: int, length: int) -> Counts:
        """The sum over the minutes [end - length, end) and every partition."""
        table = self._topics.get(topic)
        return table.sum(end - length, end) if table else NOTHING

    def series(self, topic: str, end: int, step: int, steps: int) -> list[Counts]:
        """`steps` neighbouring windows of `step` minutes, oldest first, the last one ending at `end`."""
        return [self.window(topic, end - step * back, step) for back in range(steps - 1, -1, -1)]

    def evidence(self, topic: str, end: int, length: int, limit: int) -> tuple[Evidence, ...]:
        """The most negative headlines of a window, most negative first; a title stands once."""
        table = self._topics.get(topic)
        if table is None:
            return ()
        found = {item.title: item for b in table.between(end - length, end) for item in reversed(b.evidence)}
        return tuple(nsmallest(limit, found.values(), key=lambda item: (-item.negative, item.published_at, item.id)))

    def buckets(self) -> Iterator[Bucket]:
        """Every bucket, by topic, minute and partition."""
        for topic in self.topics():
            table = self._topics[topic]
            for place in sorted(table.buckets):
                yield table.buckets[place]

    def span(self) -> tuple[int, int] | None:
        """The first minute that has a bucket and the one after the last; None where there is none."""
        minutes = [minute for table in self._topics.values() for minute in table.partitions]
        return (min(minutes), max(minutes) + 1) if minutes else None

    def drop_before(self, minute: int) -> None:
        """Forgets the buckets of earlier minutes."""
        for table in self._topics.values():
            table.drop_before(minute)
