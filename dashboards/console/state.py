"""What the topics hold, as far as the page shows it. No clock and no I/O: records and moments are passed in."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from heapq import nlargest
from typing import NamedTuple

import msgspec

from stream.records import Alert, Bucket, Checkpoint, Evidence
from stream.totals import Totals
from stream.watermarks import NEVER, WholeWatermark
from stream.windows import WindowTable, minute_of

NEGATIVE = 0.5
"""A headline less probably negative than this is evidence of a calm minute, not a negative headline."""

TOPIC_HEADLINES = 12
"""Headlines in a topic's detail: what a reader takes in without scrolling."""

HEADLINES_KEPT = 500
RESOLVED_KEPT = 200

STALLED_AFTER = timedelta(minutes=2)
"""A dead worker's partitions are another's after seconds, and a restart counts again within half a minute."""

RATE_OVER = timedelta(seconds=60)
RATE_FROM = timedelta(seconds=5)
"""A rate over less than this is not shown: two checkpoints of one second would say anything."""


class Headline(NamedTuple):
    """A negative headline and the topic it was counted in."""

    topic: str
    evidence: Evidence


class Headlines:
    """The newest negative headlines, each title once."""

    def __init__(self, kept: int = HEADLINES_KEPT) -> None:
        self._kept = kept
        self._found: dict[str, Headline] = {}

    def add(self, topic: str, evidence: Iterable[Evidence]) -> None:
        for item in evidence:
            title = item.title.casefold()
            known = self._found.get(title)
            if known is None or known.evidence.published_at <= item.published_at:
                self._found[title] = Headline(topic, item)
        if len(self._found) > 2 * self._kept:
            self._found = {found.evidence.title.casefold(): found for found in self.latest(self._kept)}

    def latest(self, limit: int) -> list[Headline]:
        """The `limit` newest, newest first."""
        return nlargest(limit, self._found.values(), key=lambda h: (h.evidence.published_at, h.evidence.id))


class Rate:
    """Documents a minute, from totals seen at moments of the clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()

    def observe(self, total: int, now: datetime) -> None:
        self._seen.append((now, total))
        while len(self._seen) > 2 and self._seen[1][0] <= now - RATE_OVER:
            self._seen.popleft()

    def per_minute(self, now: datetime) -> float | None:
        """The rate over the last minute, or over what is known of it; None while that is too short."""
        if not self._seen:
            return None
        start = now - RATE_OVER
        before = [entry for entry in self._seen if entry[0] <= start]
        first, total = before[-1] if before else self._seen[0]
        elapsed = min(now - first, RATE_OVER)
        if elapsed < RATE_FROM:
            return None
        return (self._seen[-1][1] - total) / (elapsed / timedelta(minutes=1))


class ConsoleState:
    """The buckets, checkpoints and alerts read so far, of the last `retained` minutes of event time.

    Of headlines those are held, after `thin`, that a window can still show, whose end is where event time has come to.
    """

    def __init__(self, partitions: int, *, retained: int, idle: timedelta, follow_clock: bool) -> None:
        self.table = WindowTable()
        self.headlines = Headlines()
        self.alerts: dict[str, Alert] = {}
        self.last_counted: datetime | None = None
        self._watermark = WholeWatermark(partitions, idle=idle, follow_clock=follow_clock, loading=True)
        self._checkpoints: dict[int, Checkpoint] = {}
        self._stalled_since: datetime | None = None
        self._rate = Rate()
        self._retained = retained
        self._newest = 0
        self._dropped_before = 0
        self._names: dict[str, str] = {}

    def put_bucket(self, bucket: Bucket) -> None:
        """Takes a bucket; one from before the retained time is passed over."""
        minute = minute_of(bucket.minute)
        if minute < self._newest - self._retained:
            return
        negative = tuple(item for item in bucket.evidence if item.negative >= NEGATIVE)
        topic = self._names.setdefault(bucket.topic, bucket.topic)  # one string a topic, not one a bucket
        if self.table.put(msgspec.structs.replace(bucket, topic=topic, evidence=negative)):
            self.headlines.add(topic, negative)
        self._newest = max(self._newest, minute)
        self._forget()

    def _forget(self) -> None:
        oldest = self._newest - self._retained
        # Dropping looks at every minute that is held, so it is done in large steps.
        if oldest - self._dropped_before > self._retained // 8:
            self.table.drop_before(oldest)
            self._dropped_before = oldest

    def thin(self) -> None:
        """To be called now and then: forgets headlines that no page will show."""
        if self.table.is_worth_thinning and (floor := self._watermark.floor) > NEVER:
            self.table.thin(minute_of(floor) + 1, TOPIC_HEADLINES)

    def put_checkpoint(self, checkpoint: Checkpoint, written: datetime, now: datetime) -> None:
        """Takes a checkpoint that was written at clock time `written` and read at `now`."""
        known = self._checkpoints.get(checkpoint.partition)
        if known is not None and checkpoint.position < known.position:
            return
        self._checkpoints[checkpoint.partition] = checkpoint
        if known is not None and checkpoint.position > known.position:
            self._stalled_since = None  # the next look at the ends begins anew
        self.last_counted = max(self.last_counted or written, written)
        self._watermark.observe(checkpoint, written)
        if not self._watermark.is_loading:
            self._rate.observe(self.totals().documents, now)

    def observe_ends(self, ends: Mapping[int, int], now: datetime) -> None:
        """Takes where the partitions of `documents` end now."""
        self._watermark.observe_ends(ends)
        self._watermark.at(now)  # its floor goes on, whether or not somebody looks
        if not self.to_count():
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now

    def to_count(self) -> int:
        """How many documents stand in `documents` that nobody has counted yet."""
        return self._watermark.to_count

    def stalled_since(self, now: datetime) -> datetime | None:
        """Since when documents wait and none is counted, where that is longer than workers need to take over."""
        since = self._stalled_since
        return since if since is not None and now - since >= STALLED_AFTER else None

    def loaded(self, now: datetime) -> None:
        """Everything that stood in the topics at the start has been read; from here on records come as they happen."""
        self._watermark.loaded()
        self._rate.observe(self.totals().documents, now)

    def put_alert(self, alert: Alert) -> None:
        """Takes an alert in the place of what was known under its id."""
        self.alerts[alert.id] = alert
        resolved = [a for a in self.alerts.values() if a.state == "resolved"]
        if len(resolved) > 2 * RESOLVED_KEPT:
            kept = {a.id for a in nlargest(RESOLVED_KEPT, resolved, key=lambda a: (a.ended_at or a.evaluated_at, a.id))}
            self.alerts = {a.id: a for a in self.alerts.values() if a.state == "firing" or a.id in kept}

    def totals(self) -> Totals:
        """What became of the documents so far, over all partitions."""
        return Totals.of(self._checkpoints.values())

    def per_minute(self, now: datetime) -> float | None:
        """Documents a minute of the clock; None until that can be said."""
        return self._rate.per_minute(now)

    def reached(self, now: datetime) -> datetime | None:
        """Event time up to which everything is counted; None until a document was counted in every live partition."""
        return self._watermark.at(now)

    def end(self, now: datetime) -> int | None:
        """The minute where windows end: after the one event time has reached. None while nothing was counted."""
        reached = self.reached(now)
        if reached is not None:
            return minute_of(reached) + 1
        return self._newest + 1 if self._newest else None
