"""How far event time has come over all partitions, derived from their checkpoints. Pure: the clock is passed in."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from stream.records import Checkpoint

NEVER = datetime.min.replace(tzinfo=UTC)


class _Waiting(NamedTuple):
    """The furthest checkpoint of a partition, of those that wait."""

    checkpoint: Checkpoint
    written: datetime
    since: datetime
    """When the first one of its position was written: who takes a partition over says once more where it stands."""

    def or_later(self, checkpoint: Checkpoint, written: datetime) -> "_Waiting":
        """The further one of the two, in whatever order they are read."""
        if checkpoint.position != self.checkpoint.position:
            further = checkpoint.position > self.checkpoint.position
            return _Waiting(checkpoint, written, written) if further else self
        since = min(self.since, written)
        return self._replace(since=since) if written < self.written else _Waiting(checkpoint, written, since)


class WholeWatermark:
    """The moment of event time up to which every partition that still speaks has been counted.

    It is the lowest watermark over the partitions that are not idle. A partition is idle when it has been read to
    its end and was silent for `idle` while others spoke; the wait begins anew when the whole stream wakes up, so that
    the first partition to speak does not run ahead of the others. When all are idle it is the highest watermark of
    all, and with `follow_clock` it goes on from there at the clock's rate. It never goes back.

    With `loading`, checkpoints wait until `loaded`: compaction may have taken a bucket away that stood before one of
    them and left its newer value behind it. They are taken in the order of their own time then, over all partitions, so
    that a role that starts anew finds the watermark that the running one had, or will have within `idle`: of each
    partition only the last move is known then.
    """

    def __init__(self, partitions: int, *, idle: timedelta, follow_clock: bool, loading: bool = False) -> None:
        self._partitions = partitions
        self._idle = idle
        self._follow_clock = follow_clock
        self._checkpoints: dict[int, Checkpoint] = {}
        self._ends: dict[int, int] = {}
        self._waiting: dict[int, _Waiting] | None = {} if loading else None
        self._moved: dict[int, datetime] = {}
        self._woke: datetime | None = None
        self._last_moved: datetime | None = None
        self._reached = NEVER

    def observe(self, checkpoint: Checkpoint, now: datetime) -> None:
        """Takes a checkpoint read at clock time `now`; one that is behind what is known is passed over."""
        if self._waiting is not None:
            waiting = self._waiting.get(checkpoint.partition, _Waiting(checkpoint, now, now))
            self._waiting[checkpoint.partition] = waiting.or_later(checkpoint, now)
            return
        known = self._checkpoints.get(checkpoint.partition)
        if known is not None and checkpoint.position < known.position:
            return
        self._checkpoints[checkpoint.partition] = checkpoint
        if checkpoint.position > (known.position if known else 0):
            if self._last_moved is None or now - self._last_moved >= self._idle:
                self._woke = now
            self._last_moved = self._moved[checkpoint.partition] = now

    @property
    def is_loading(self) -> bool:
        """Checkpoints wait for `loaded`."""
        return self._waiting is not None

    def loaded(self) -> None:
        """Everything that stood in the topics at the start was read."""
        waiting, self._waiting = self._waiting or {}, None
        for entry in sorted(waiting.values(), key=lambda entry: entry.since):
            self.observe(entry.checkpoint, entry.since)

    def observe_ends(self, ends: Mapping[int, int]) -> None:
        """Takes where the partitions of `documents` end: one that waits there is not idle, though no worker says so."""
        self._ends.update(ends)

    @property
    def to_count(self) -> int:
        """How many documents stand in `documents` beyond what the checkpoints have counted."""
        return sum(max(0, end - self._done(partition)) for partition, end in self._ends.items())

    @property
    def lowest(self) -> datetime:
        """The lowest watermark of any partition: what is late everywhere is measured from here. May be `NEVER`."""
        return min(self._watermark(partition) for partition in range(self._partitions))

    @property
    def floor(self) -> datetime:
        """What `at` will not fall below, known while it still waits for `loaded`, too. May be `NEVER`."""
        return max(self._reached, self.lowest)

    def at(self, now: datetime) -> datetime | None:
        """The watermark at clock time `now`; None until a document has been counted."""
        if self._last_moved is None:
            return None
        speaking = [p for p in range(self._partitions) if not self._is_idle(p, now)]
        if speaking:
            whole = min(self._watermark(p) for p in speaking)
        else:
            whole = max(checkpoint.watermark for checkpoint in self._checkpoints.values())
            if self._follow_clock and whole > NEVER:
                whole += now - self._last_moved
        self._reached = max(self._reached, whole)
        return self._reached if self._reached > NEVER else None

    def _watermark(self, partition: int) -> datetime:
        waiting = self._waiting.get(partition) if self._waiting else None
        checkpoint = waiting.checkpoint if waiting else self._checkpoints.get(partition)
        return checkpoint.watermark if checkpoint else NEVER

    def _done(self, partition: int) -> int:
        """The offset of `documents` below which everything is counted."""
        checkpoint = self._checkpoints.get(partition)
        return checkpoint.origin + 1 if checkpoint else 0

    def _is_idle(self, partition: int, now: datetime) -> bool:
        checkpoint = self._checkpoints.get(partition)
        if self._ends.get(partition, 0) > self._done(partition) or (
            checkpoint is not None and not checkpoint.caught_up
        ):
            return False
        since = max(moment for moment in (self._moved.get(partition), self._woke) if moment is not None)
        return now - since >= self._idle
