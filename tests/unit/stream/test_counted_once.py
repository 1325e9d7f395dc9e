"""DESIGN.md, section 4, as a machine that Hypothesis drives: every document is counted once, whatever dies.

The logs are lists; workers and readers run the real code of scoring, counting, restoring and summing, one step at a
time. A crash replaces a worker, and what it had in flight is lost; a zombie is a replaced worker that goes on for a
while; compaction leaves the last record of each key. Scoring a document once more may give it another topic. Each rule
of the section is left out once, and the machine must notice. That inputs are acknowledged after outputs is a matter of
the services' calls, which `tests/faults` lets fail one by one: here the worker of this file stands for them.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from model.classifier import Prediction, TextClassifier
from model.labels import SENTIMENTS, TOPICS
from stream.aggregation import PartitionCounter
from stream.buckets import OpenBucket
from stream.records import Bucket, Checkpoint, Document, ScoredDocument, WindowRecord, encode, window_key
from stream.scoring import Received, Scorer, by_one
from stream.windows import WindowTable, minute_of
from stream.windows_log import decode_window
from tests.unit.stream.histories import LATENESS, START

BATCH = 6
NEWEST = 7
SETTLES_WITHIN = 10_000

EXAMPLES = settings(
    max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
MUTANTS = settings(EXAMPLES, max_examples=2000, derandomize=True, database=None, phases=[Phase.generate])


class Fickle(TextClassifier):
    """A classifier that says something else each time that it is asked."""

    version = "fickle"

    def __init__(self) -> None:
        self._asked = 0

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        found = []
        for text in texts:
            self._asked += 1
            if "unreadable" in text:
                raise ValueError("it cannot be read")
            found.append(Prediction(TOPICS[self._asked % 2], 0.9, SENTIMENTS[self._asked % 3], (0.2, 0.3, 0.5)))
        return found


class Logs:
    """The broker: what was acknowledged stays, in order."""

    def __init__(self) -> None:
        self.documents: list[Received] = []
        self.scored: list[ScoredDocument] = []
        self.windows: list[tuple[bytes, bytes]] = []
        """Keys and values."""
        self.writers = itertools.count()
        self.committed: tuple[int, datetime | None] = (0, None)

    def publish(self, event: datetime, *, readable: bool) -> None:
        offset = len(self.documents)
        document = Document(
            id=f"d{offset}",
            text="shares fell" if readable else "unreadable",
            source="wire",
            source_kind="news",
            published_at=event,
            fetched_at=event,
            story=f"d{offset}",
        )
        appended = int((START + timedelta(days=9)).timestamp() * 1000)
        self.documents.append(Received(0, offset, appended, b"key", encode(document)))


class Scoring:
    """Rules 1 and 2: one partition in its order, outputs before the acknowledgement of the inputs."""

    commits_early = False

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._scorer = Scorer(topic="documents", max_text_bytes=1000)
        self._answer = by_one(Fickle())
        self.position, watermark = logs.committed
        self._scorer.restore(0, watermark)
        self.outbox: list[ScoredDocument] = []
        self._watermark = watermark

    @property
    def done(self) -> bool:
        logs = self._logs
        return not self.outbox and self.position == len(logs.documents) == logs.committed[0]

    def step(self, *, owns: bool) -> None:
        """Writes one record; with nothing to write commits; with nothing to commit scores the next batch."""
        if self.outbox and not (self.commits_early and owns and self.position > self._logs.committed[0]):
            self._logs.scored.append(self.outbox.pop(0))
        elif self.position > self._logs.committed[0]:
            if owns:  # the broker refuses the commit of a member that lost the partition
                self._logs.committed = (self.position, self._watermark)
        elif batch := self._logs.documents[self.position : self.position + BATCH]:
            self.outbox = [item.document for item in self._scorer.score(batch, START, self._answer)]
            self._watermark = self.outbox[-1].watermark
            self.position += len(batch)


class Counting:
    """Rules 3 and 4: kept records into buckets, changed buckets before their checkpoint, restored from the topic."""

    counter_type: type[PartitionCounter] = PartitionCounter

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._writer = self.name(next(logs.writers))
        self.counter = self.counter_type(0, lateness=LATENESS, evidence=1)
        log = read_log(logs.windows)
        for record in log[-NEWEST:] + log[:-NEWEST]:  # as `windows_log.read_to_end` gives them
            self.counter.restore(record)
        self.outbox: list[WindowRecord] = []

    def name(self, number: int) -> str:
        """Who writes, in the keys of `windows`."""
        return f"{number:08x}"

    @property
    def done(self) -> bool:
        return not self.outbox and self.counter.position == len(self._logs.scored)

    def step(self) -> None:
        """Writes one record; with nothing to write counts the next batch."""
        if self.outbox:
            record = self.outbox.pop(0)
            self._logs.windows.append((window_key(record, self._writer), encode(record)))
            return
        first = self.counter.position
        batch = self._logs.scored[first : first + BATCH]
        for offset, document in enumerate(batch, first):
            self.counter.count(offset, document)
        if batch:
            self.outbox = self.counter.to_write(caught_up=False)


def read_log(windows: Sequence[tuple[bytes, bytes]]) -> list[WindowRecord]:
    found = [decode_window(key, value) for key, value in windows]
    return [record for record in found if record is not None]


class Promise(RuleBasedStateMachine):
    """Documents are published, workers step, die and come back; at the end all that lives finishes."""

    scoring_type: type[Scoring] = Scoring
    counting_type: type[Counting] = Counting
    table_type: type[WindowTable] = WindowTable

    def __init__(self) -> None:
        super().__init__()
        self.logs = Logs()
        self.scoring = self.scoring_type(self.logs)
        self.counting = self.counting_type(self.logs)
        self.zombies: list[Scoring | Counting] = []

    @rule(minutes=st.lists(st.integers(0, 7), min_size=1, max_size=8), readable=st.booleans())
    def publish(self, minutes: list[int], readable: bool) -> None:
        for minute in minutes:
            self.logs.publish(START + timedelta(minutes=minute), readable=readable)

    @rule(steps=st.integers(1, 10))
    def score(self, steps: int) -> None:
        for _ in range(steps):
            self.scoring.step(owns=True)

    @rule(steps=st.integers(1, 10))
    def count(self, steps: int) -> None:
        for _ in range(steps):
            self.counting.step()

    @rule(zombie=st.booleans())
    def scorer_dies(self, zombie: bool) -> None:
        if zombie:
            self.zombies.append(self.scoring)
        self.scoring = self.scoring_type(self.logs)

    @rule(zombie=st.booleans())
    def counter_dies(self, zombie: bool) -> None:
        if zombie:
            self.zombies.append(self.counting)
        self.counting = self.counting_type(self.logs)

    @rule(steps=st.integers(1, 6), again=st.booleans())
    def counter_freezes_and_writes_when_the_partition_is_long_anothers(self, steps: int, again: bool) -> None:
        frozen, self.counting = self.counting, self.counting_type(self.logs)
        for _ in range(6 * steps):
            self.counting.step()
        for _ in range(steps):
            frozen.step()
        if again:
            self.counting = self.counting_type(self.logs)

    @rule()
    def windows_are_compacted(self) -> None:
        """Of each key the last record stays, in its place; all of them, as no reader is promised more than these."""
        last = {key: place for place, (key, _) in enumerate(self.logs.windows)}
        self.logs.windows = [self.logs.windows[place] for place in sorted(last.values())]

    @rule(which=st.integers(0, 3), steps=st.integers(1, 8))
    def zombie_goes_on(self, which: int, steps: int) -> None:
        if which < len(self.zombies):
            zombie = self.zombies[which]
            for _ in range(steps):
                # It does not know that it lost the partition: it writes what it has, and reads on.
                if isinstance(zombie, Scoring):
                    zombie.step(owns=False)
                else:
                    zombie.step()

    def teardown(self) -> None:
        for _ in range(SETTLES_WITHIN):
            if self.scoring.done and self.counting.done:
                break
            self.scoring.step(owns=True)
            self.counting.step()
        else:
            raise RuntimeError("it does not settle")
        self.check()

    def check(self) -> None:
        table, last = self.table_type(), Checkpoint(partition=0, position=0)
        for record in read_log(self.logs.windows):
            if isinstance(record, Bucket):
                table.put(record)
            elif record.position >= last.position:
                last = record
        highest, on_time, late, dead = datetime.min.replace(tzinfo=UTC), Counter[int](), 0, 0
        for received in self.logs.documents:
            assert received.value is not None
            event = msgspec.json.decode(received.value, type=Document).published_at
            highest = max(highest, event)
            if b"unreadable" in received.value:
                dead += 1
            elif event < highest - LATENESS:
                late += 1
            else:
                on_time[minute_of(event)] += 1
        counted = Counter[int]()
        for topic in table.topics():
            for minute in table.minutes(topic):
                counted[minute] += table.window(topic, minute + 1, 1).documents
        assert counted == on_time
        # What a reader keeps of `scored` carries the highest event time up to its document.
        so_far: list[datetime] = []
        for received in self.logs.documents:
            assert received.value is not None
            event = msgspec.json.decode(received.value, type=Document).published_at
            so_far.append(max([event, *so_far[-1:]]))
        origin = -1
        for document in self.logs.scored:
            if document.origin > origin:
                origin = document.origin
                assert document.watermark == so_far[origin]
        assert (last.counted, last.late, last.dead) == (on_time.total(), late, dead)


TestPromise = Promise.TestCase
TestPromise.settings = EXAMPLES


# ---- each rule left out


class ForgetsOrigins(PartitionCounter):
    """Without rule 3: a record whose origin was seen counts once more."""

    def count(self, offset: int, document: ScoredDocument) -> bool:
        self.origin = -1
        return super().count(offset, document)


class ForgetsOriginsAtRestore(PartitionCounter):
    """Without the checkpoint's origin."""

    def restore(self, record: WindowRecord) -> None:
        super().restore(record)
        self.origin = -1


class LastBucketWins(PartitionCounter):
    """Without the rule that the higher `applied` counts."""

    def restore(self, record: WindowRecord) -> None:
        if isinstance(record, Bucket):
            self._open.get(minute_of(record.minute), {}).pop(record.topic, None)
        super().restore(record)


class CountsWhatIsApplied(PartitionCounter):
    """Without the rule that a bucket skips a record at or below its `applied`."""

    def restore(self, record: WindowRecord) -> None:
        super().restore(record)
        for topics in self._open.values():
            for name, bucket in topics.items():
                topics[name] = _Greedy.of(bucket)


class _Greedy(OpenBucket):
    __slots__ = ()

    @classmethod
    def of(cls, bucket: OpenBucket) -> "_Greedy":
        greedy = cls(bucket.topic, bucket.minute, evidence_limit=0)
        for name in OpenBucket.__slots__:
            setattr(greedy, name, getattr(bucket, name))
        return greedy

    def add(self, offset: int, document: ScoredDocument) -> bool:
        applied, self.applied = self.applied, -1
        added = super().add(offset, document)
        self.applied = max(applied, self.applied)
        return added


class ChecksBeforeBuckets(PartitionCounter):
    """Without the rule that a checkpoint stands after its buckets."""

    def to_write(self, *, caught_up: bool) -> list[WindowRecord]:
        *buckets, checkpoint = super().to_write(caught_up=caught_up)
        return [checkpoint, *buckets]


class LastPutWins(WindowTable):
    """A reader of `windows` that takes a bucket's last value for its newest."""

    def put(self, bucket: Bucket) -> bool:
        return super().put(msgspec.structs.replace(bucket, applied=2**62))


class SumsAgain(WindowTable):
    """A reader that forgets which closed buckets are in its sums."""

    def put(self, bucket: Bucket) -> bool:
        if bucket.topic in self._topics:
            self._topics[bucket.topic]._closed.clear()
        return super().put(bucket)


class Anonymous(Counting):
    """Without writers in the keys of `windows`."""

    def name(self, number: int) -> str:  # noqa: ARG002
        return "any"


class ForgetsWatermarks(Scoring):
    """Without the watermark beside the committed offset."""

    def __init__(self, logs: Logs) -> None:
        logs.committed = (logs.committed[0], None)
        super().__init__(logs)


class Shuffles(Scoring):
    """Without the order of the partition: the newest of a batch is written first."""

    def step(self, *, owns: bool) -> None:
        empty = not self.outbox
        super().step(owns=owns)
        if empty:
            self.outbox.reverse()


def with_counter(counter: type[PartitionCounter]) -> type[Promise]:
    return mutant(counting_type=type("Mutant", (Counting,), {"counter_type": counter}))


def mutant(**changes: type) -> type[Promise]:
    return type("Mutant", (Promise,), changes)


LEFT_OUT = {
    "inputs are acknowledged after outputs": mutant(scoring_type=type("Mutant", (Scoring,), {"commits_early": True})),
    "a partition is written in its order": mutant(scoring_type=Shuffles),
    "a commit carries the watermark": mutant(scoring_type=ForgetsWatermarks),
    "a repeat of an origin is passed over": with_counter(ForgetsOrigins),
    "a checkpoint carries the origin": with_counter(ForgetsOriginsAtRestore),
    "the bucket with the higher applied counts": with_counter(LastBucketWins),
    "a bucket skips what it has applied": with_counter(CountsWhatIsApplied),
    "buckets are written before their checkpoint": with_counter(ChecksBeforeBuckets),
    "readers keep the higher applied": mutant(table_type=LastPutWins),
    "a closed bucket is summed once": mutant(table_type=SumsAgain),
    "a key of windows names its writer": mutant(counting_type=Anonymous),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_the_machine_notices_a_rule_that_is_left_out(what: str) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(LEFT_OUT[what], settings=MUTANTS)
