"""Random histories of one partition, driven through the real counting code.

A worker reads `scored` and writes to `windows` one record at a time; it may be replaced at any write, go on for a
while after that, and what it had not written is lost. Scoring repeats itself, with other labels.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from stream.aggregation import PartitionCounter
from stream.records import Bucket, Checkpoint, ScoredDocument, WindowRecord

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOPICS = ("Energy | Oil", "Financials", "Macro")
SENTIMENTS = ("negative", "neutral", "positive")
LATENESS = timedelta(minutes=5)

Totals = Counter[tuple[str, datetime]]


def scored(origin: int, event: datetime, watermark: datetime, random: Random) -> ScoredDocument:
    """A document of that origin with labels drawn at random: another scoring of it may say something else."""
    negative = random.choice((0.0, 0.25, 0.5, 0.75, 1.0))
    return ScoredDocument(
        origin=origin,
        watermark=watermark,
        id=f"d{origin}",
        story=f"d{origin - origin % 3}",
        title=f"headline {origin % 11}",
        published_at=event,
        topic=random.choice(TOPICS),
        sentiment=random.choice(SENTIMENTS),  # type: ignore[arg-type]
        probabilities=(negative, 1 - negative, 0.0),
        model="test",
    )


def scored_log(random: Random, documents: int) -> list[ScoredDocument]:
    """A log as crashing scorers leave it: in order, but stretches stand twice, labelled anew; a few are dead.

    What one scorer gave up another may read.
    """
    events = [START + timedelta(seconds=20 * place - random.choice((0, 0, 0, 90, 700))) for place in range(documents)]
    watermarks = [max(events[: place + 1]) for place in range(documents)]
    log, at = [], 0
    while at < documents:
        if at and random.random() < 0.1:
            at = max(0, at - random.randint(1, 6))
        if random.random() < 0.05:
            log.append(ScoredDocument(origin=at, watermark=watermarks[at], dead=True))
        else:
            log.append(scored(at, events[at], watermarks[at], random))
        at += 1
    return log


def fresh() -> PartitionCounter:
    return PartitionCounter(0, lateness=LATENESS, evidence=3)


class Worker:
    """Counts the log and writes what it counted, one step a call."""

    def __init__(self, log: list[ScoredDocument], windows: list[WindowRecord]) -> None:
        self._log = log
        self._windows = windows
        self.counter = fresh()
        for record in windows:
            self.counter.restore(record)
        self._outbox: list[WindowRecord] = []

    @property
    def finished(self) -> bool:
        return self.counter.position == len(self._log) and not self._outbox

    def step(self, random: Random) -> None:
        if self._outbox:
            self._windows.append(self._outbox.pop(0))
            return
        end = min(len(self._log), self.counter.position + random.randint(1, 8))
        if end > self.counter.position:
            for offset in range(self.counter.position, end):
                self.counter.count(offset, self._log[offset])
            self._outbox = self.counter.to_write(caught_up=end == len(self._log))


def live_history(log: list[ScoredDocument], random: Random) -> list[WindowRecord]:
    """What stands in `windows` after workers that crash and zombies that go on writing have counted the log."""
    windows: list[WindowRecord] = []
    worker = Worker(log, windows)
    zombies: list[Worker] = []
    for step in range(20_000):
        chaos = step < 300
        if chaos and random.random() < 0.08:
            if random.random() < 0.5:
                zombies.append(worker)
            worker = Worker(log, windows)
        for zombie in list(zombies):
            zombie.step(random)
            if random.random() < 0.1 or not chaos:
                zombies.remove(zombie)
        worker.step(random)
        if worker.finished and not chaos:
            return windows
    raise AssertionError("the history did not settle")


def newest(windows: list[WindowRecord]) -> tuple[dict[str, Bucket], Checkpoint]:
    """What a reader of `windows` holds: per key the value with the higher `applied`, and the highest checkpoint."""
    buckets: dict[str, Bucket] = {}
    checkpoints = [record for record in windows if isinstance(record, Checkpoint)]
    for record in windows:
        if isinstance(record, Bucket) and (record.key not in buckets or buckets[record.key].applied <= record.applied):
            buckets[record.key] = record
    return buckets, max(checkpoints, key=lambda checkpoint: checkpoint.position)


def kept(log: list[ScoredDocument]) -> Iterator[ScoredDocument]:
    """The records that a reader keeps: each origin the first time it stands in the log."""
    highest = -1
    for document in log:
        if document.origin > highest:
            highest = document.origin
            yield document
