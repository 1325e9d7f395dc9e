"""Counting one partition: scored documents in, buckets and checkpoints out. Pure: a function of the log alone.

The rules are those of DESIGN.md, section 4. Their reader may be killed between any two writes, and a worker that lost
the partition may write after the one that has it now; neither changes a count.
"""

from datetime import timedelta

from stream.buckets import OpenBucket
from stream.errors import GapError
from stream.records import Bucket, Checkpoint, ScoredDocument, WindowRecord
from stream.watermarks import NEVER
from stream.windows import minute_of


class PartitionCounter:
    """The open buckets of one partition and how far its log has been counted.

    First `restore` everything that stands in this partition of `windows`, in any order; then `count` the records of
    `scored` from `position` on; now and then write what `to_write` gives, in its order.
    """

    def __init__(self, partition: int, *, lateness: timedelta, evidence: int) -> None:
        self.partition = partition
        self.position = 0
        self.origin = -1
        self.watermark = NEVER
        self.counted = self.late = self.dead = self.repeats = 0
        self._lateness_seconds = lateness.total_seconds()
        self._evidence = evidence
        self._open: dict[int, dict[str, OpenBucket]] = {}  # minute -> topic -> bucket
        self.open_buckets = 0
        """How many are held in memory: kept, as adding up 14 days of minutes takes longer than a flush may."""
        self._changed: dict[tuple[int, str], OpenBucket] = {}
        self._closes_before = -(2**62)
        """Minutes below this one are closed: every document of theirs that may still come is late."""

    def restore(self, record: WindowRecord) -> None:
        """Takes a record of this partition of `windows`; their order and stale ones do not matter.

        What is closed is held until a checkpoint says so: not at all where that was restored before.
        """
        if isinstance(record, Checkpoint):
            if record.position > self.position:
                self.position, self.origin, self.watermark = record.position, record.origin, record.watermark
                self.counted, self.late = record.counted, record.late
                self.dead, self.repeats = record.dead, record.repeats
                for minute in self._close_minutes():
                    self._forget(minute)
            return
        minute = minute_of(record.minute)
        if minute < self._closes_before:
            return
        topics = self._open.setdefault(minute, {})
        known = topics.get(record.topic)
        self.open_buckets += known is None
        if known is None or (record.closed, record.applied) > (known.closed, known.applied):
            topics[record.topic] = OpenBucket.from_record(record, minute, evidence_limit=self._evidence)

    def expire(self, oldest: int) -> None:
        """Goes on from `oldest`: what stood before it in `scored` was deleted before it could be counted."""
        self.position = max(self.position, oldest)

    def count(self, offset: int, document: ScoredDocument) -> bool:
        """Counts the record at `offset` of `scored`, once; False where it is not one to be counted.

        Records below `position` are passed over. Raises `GapError` where `offset` is above `position`: records in
        between were never seen.
        """
        if offset != self.position:
            if offset < self.position:
                return False
            raise GapError(
                f"scored partition {self.partition}: offset {offset} follows {self.position - 1}",
                fix="the partition is read anew from its last checkpoint; look why records are missing there",
            )
        self.position = offset + 1
        if document.origin <= self.origin:
            self.repeats += 1
            return False
        self.origin = document.origin
        if document.watermark > self.watermark:
            self.watermark = document.watermark
        if document.dead or document.published_at is None:
            self.dead += 1
            return False
        event = document.published_at.timestamp()
        if (
            document.published_at < self.watermark  # most are not, and the rest of the question costs as much as a sum
            and event < self.watermark.timestamp() - self._lateness_seconds
        ):
            self.late += 1
            return False
        minute = int(event // 60)
        topics = self._open.get(minute)
        if topics is None:
            topics = self._open[minute] = {}
        bucket = topics.get(document.topic)
        if bucket is None:
            bucket = topics[document.topic] = OpenBucket(document.topic, minute, evidence_limit=self._evidence)
            self.open_buckets += 1
        elif bucket.closed and offset > bucket.applied:  # not one that is read again and was counted
            self.late += 1
            return False
        self.counted += 1
        if bucket.add(offset, document):
            self._changed[minute, document.topic] = bucket
        return True

    def to_write(self, *, caught_up: bool) -> list[WindowRecord]:
        """What changed since the last call, in the order in which it must be written: a checkpoint ends it."""
        return [*self.changed(), self.checkpoint(caught_up=caught_up)]

    def changed(self) -> list[Bucket]:
        """Buckets that changed or closed since the last call. They must be written before the next `checkpoint`."""
        closing = self._close_minutes()
        for minute in closing:
            for topic, bucket in self._open[minute].items():
                self._changed[minute, topic] = bucket
        closed = set(closing)
        records = [
            bucket.record(self.partition, closed=minute in closed) for (minute, _), bucket in self._changed.items()
        ]
        self._changed.clear()
        for minute in closing:
            self._forget(minute)
        return records

    def checkpoint(self, *, caught_up: bool) -> Checkpoint:
        """Says that everything below `position` is in the buckets that were given out before."""
        return Checkpoint(
            partition=self.partition,
            position=self.position,
            origin=self.origin,
            watermark=self.watermark,
            caught_up=caught_up,
            counted=self.counted,
            late=self.late,
            dead=self.dead,
            repeats=self.repeats,
        )

    def _forget(self, minute: int) -> None:
        self.open_buckets -= len(self._open.pop(minute))

    def _close_minutes(self) -> list[int]:
        """Moves the limit of closed minutes to the watermark; returns the minutes held that are now below it."""
        limit = int((self.watermark.timestamp() - self._lateness_seconds) // 60)
        if limit <= self._closes_before:
            return []
        self._closes_before = limit
        return sorted(minute for minute in self._open if minute < limit)
