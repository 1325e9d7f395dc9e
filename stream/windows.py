"""Windows: sums of buckets over minutes and partitions. Pure arithmetic on whole numbers, so no order matters."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from stream.headlines import Showable, most_negative
from stream.records import Bucket, Evidence

THIN_AFTER = 2000
"""Buckets with headlines, some megabytes: fewer are not worth a look at all that have some."""

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
    """One topic's counts, with sums by minute, hour and day so that a week is some 200 additions."""

    def __init__(self) -> None:
        self.minutes: list[int] = []
        """The minutes that have a bucket, sorted."""
        self._open: dict[int, dict[int, Bucket]] = {}  # minute -> partition -> bucket
        self._closed: dict[int, int] = {}
        """By minute the partitions whose bucket is in the sums for good, as bits."""
        self._closed_headlines: dict[int, list[Evidence]] = {}
        """By minute those of these."""
        self._with_headlines: set[int] = set()
        """The minutes that have any, open or closed."""
        self._by_minute = _Sums(1)
        self._sums = (_Sums(MINUTES_PER_DAY), _Sums(MINUTES_PER_HOUR), self._by_minute)

    def put(self, bucket: Bucket) -> bool:
        minute, partition = minute_of(bucket.minute), bucket.partition
        closed = self._closed.get(minute, 0)
        if closed >> partition & 1:
            return False
        if not closed and minute not in self._open:
            self._begin(minute)
        partitions = self._open.get(minute, {})
        known = partitions.get(partition)
        if known is not None:
            if not bucket.closed and known.applied > bucket.applied:
                return False
            self._add(minute, Counts.of(known), -1)
        self._add(minute, Counts.of(bucket), 1)
        if bucket.evidence:
            self._with_headlines.add(minute)
        if not bucket.closed:
            self._open.setdefault(minute, {})[partition] = bucket
            return True
        self._closed[minute] = closed | 1 << partition
        if known is not None:
            del partitions[partition]
            if not partitions:
                del self._open[minute]
        if bucket.evidence:
            self._closed_headlines.setdefault(minute, []).extend(bucket.evidence)
        return True

    def _begin(self, minute: int) -> None:
        if self.minutes and minute < self.minutes[-1]:
            insort(self.minutes, minute)
        else:
            self.minutes.append(minute)

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

    def evidence(self, start: int, end: int) -> Iterator[Evidence]:
        """The headlines of [start, end), in no order."""
        held = self.minutes[bisect_left(self.minutes, start) : bisect_left(self.minutes, end)]
        # A window of minutes has few minutes, one of a week few that still have headlines.
        for minute in held if len(held) < len(self._with_headlines) else self._with_headlines:
            if start <= minute < end and minute in self._with_headlines:
                yield from self._headlines(minute)

    def _headlines(self, minute: int) -> Iterator[Evidence]:
        yield from self._closed_headlines.get(minute, ())
        for bucket in self._open.get(minute, {}).values():
            yield from bucket.evidence

    def thin(self, before: int, keep: int) -> int:
        """See `WindowTable.thin`; returns how many minutes or buckets it had to look at."""
        showable, minutes, looked = Showable(keep), len(self._with_headlines), 0
        for minute in sorted((minute for minute in self._with_headlines if minute < before), reverse=True):
            shown = showable.of_minute(self._headlines(minute))
            if left := [item for item in self._closed_headlines.pop(minute, ()) if id(item) in shown]:
                self._closed_headlines[minute] = left
            partitions = self._open.get(minute, {})
            looked += len(partitions) or 1
            for number, bucket in partitions.items():
                evidence = tuple(item for item in bucket.evidence if id(item) in shown)
                if len(evidence) < len(bucket.evidence):
                    partitions[number] = replace(bucket, evidence=evidence)
            if not shown:
                self._with_headlines.remove(minute)
        return max(minutes, looked)

    def drop_before(self, minute: int) -> None:
        old = bisect_left(self.minutes, minute)
        for past in self.minutes[:old]:
            counts = self._by_minute.at(past)
            if counts is not None:
                self._add(past, Counts(*counts), -1)
            self._open.pop(past, None)
            self._closed.pop(past, None)
            self._closed_headlines.pop(past, None)
            self._with_headlines.discard(past)
        del self.minutes[:old]


class WindowTable:
    """All buckets of all topics and partitions that were put in and not yet dropped.

    Of two open values of one bucket the one with the higher `applied` stays, whatever order they come in (a late write
    of a worker that lost its partition cannot win), and a closed one stands against every open one: of that only its
    counts and headlines are held, one sum for all partitions. Two closed ones are the same, unless workers of two
    allowances live at once; the first stays. Minutes are counted from the epoch, as `minute_of` does.
    """

    def __init__(self) -> None:
        self._topics: dict[str, _TopicTable] = {}
        self._fresh = 0
        """Buckets with headlines that were taken since `thin`."""
        self._looked = 0
        """At how many minutes or buckets `thin` looked."""

    def put(self, bucket: Bucket) -> bool:
        """Takes a bucket; False where a newer value of it was there."""
        table = self._topics.get(bucket.topic)
        if table is None:
            table = self._topics[bucket.topic] = _TopicTable()
        taken = table.put(bucket)
        self._fresh += taken and bool(bucket.evidence)
        return taken

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
        return most_negative(table.evidence(end - length, end), limit) if table else ()

    @property
    def is_worth_thinning(self) -> bool:
        """As many buckets with headlines came since `thin` as it had to look at: it costs each a look or two."""
        return self._fresh >= max(THIN_AFTER, self._looked)

    def thin(self, before: int, keep: int) -> None:
        """Forgets headlines of minutes before `before` that no window ending there or later shows among its `keep`.

        Such a window that holds a headline holds all that came in the same minute and after it: where `keep` titles of
        those are more negative, or its own is there more negative, it is never shown. Of n headlines as negative at
        one time as at another some `keep` * (1 + ln(n / keep)) are left. Where `keep` is more than an open bucket has
        headlines, one of them may be forgotten for another that its bucket then lets go.
        """
        self._looked = sum(table.thin(before, keep) for table in self._topics.values())
        self._fresh = 0

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
