from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.aggregation import PartitionCounter
from stream.errors import GapError
from stream.records import Bucket, Checkpoint, Evidence, WindowRecord
from stream.windows import Counts, minute_of, moment_of
from tests.unit.stream.histories import LATENESS, START, fresh, kept, live_history, newest, scored, scored_log

seeds = st.integers(0, 2**32)


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_crashes_and_zombies_leave_the_windows_of_one_undisturbed_reading(seed: int) -> None:
    random = Random(seed)
    log = scored_log(random, random.randint(5, 80))

    calm = fresh()
    calm_windows: list[WindowRecord] = []
    for offset, document in enumerate(log):
        calm.count(offset, document)
        calm_windows += calm.changed()
    calm_windows.append(calm.checkpoint(caught_up=True))

    lived, lived_checkpoint = newest(live_history(log, random))
    expected, expected_checkpoint = newest(calm_windows)
    # A bucket may stand open that an undisturbed reader closed in the same flush; its counts are the same.
    assert {key: (Counts.of(b), b.evidence) for key, b in lived.items()} == {
        key: (Counts.of(b), b.evidence) for key, b in expected.items()
    }
    assert lived_checkpoint == expected_checkpoint


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_counts_are_those_of_the_kept_documents_that_were_not_late(seed: int) -> None:
    random = Random(seed)
    log = scored_log(random, 60)
    documents = [d for d in kept(log) if not d.dead]
    on_time = [d for d in documents if d.published_at and d.published_at >= d.watermark - LATENESS]

    buckets, checkpoint = newest(live_history(log, random))

    assert Counter({key: bucket.documents for key, bucket in buckets.items()}) == Counter(
        f"{d.topic}|{d.published_at:%Y-%m-%dT%H:%MZ}" for d in on_time
    )
    assert checkpoint.counted == len(on_time)
    assert checkpoint.late == len(documents) - len(on_time)
    assert checkpoint.dead == sum(d.dead for d in kept(log))
    assert checkpoint.watermark == max(d.watermark for d in kept(log))
    assert checkpoint.counted + checkpoint.late + checkpoint.dead + checkpoint.repeats == len(log)


def test_a_closed_bucket_never_changes_again() -> None:
    random = Random(1)
    counter = fresh()
    counter.count(0, scored(0, START, START, random))
    assert [bucket.closed for bucket in counter.changed()] == [False]

    later = START + LATENESS + timedelta(minutes=1)
    counter.count(1, scored(1, later, later, random))
    closed = [bucket for bucket in counter.changed() if bucket.closed]
    assert [bucket.minute for bucket in closed] == [START]
    assert counter.open_buckets == 1

    counter.count(2, scored(2, START, later, random))
    assert counter.late == 1
    assert counter.changed() == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_closed_bucket_stays_closed_though_the_next_worker_is_given_a_longer_allowance(newest_first: bool) -> None:
    """Readers hold it as a sum, for good."""
    random, written = Random(1), list[WindowRecord]()
    counter = fresh()
    for offset, minutes in enumerate((0, 6, 0)):
        event = START + timedelta(minutes=minutes)
        counter.count(offset, scored(offset, event, max(START, event), random))
        written += counter.to_write(caught_up=True)
    (closed,) = [record for record in written if isinstance(record, Bucket) and record.closed]

    longer = PartitionCounter(0, lateness=2 * LATENESS, evidence=3)
    for record in reversed(written) if newest_first else written:
        longer.restore(record)
    log = [scored(offset, START, START + timedelta(minutes=6), random) for offset in (3, 4)]
    assert not longer.count(3, msgspec.structs.replace(log[0], topic=closed.topic))
    assert longer.count(4, msgspec.structs.replace(log[1], topic="Markets")), "another topic of that minute is open"
    assert longer.late == counter.late + 1
    assert [(bucket.topic, bucket.documents) for bucket in longer.changed()] == [("Markets", 1)]


@pytest.mark.parametrize("lateness", [timedelta(0), timedelta(minutes=5), timedelta(days=2, minutes=1)])
@pytest.mark.parametrize("newest", [START, datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC)])
def test_a_document_is_late_once_it_is_older_than_its_watermark_by_more_than_the_allowance(
    lateness: timedelta, newest: datetime
) -> None:
    counter = PartitionCounter(0, lateness=lateness, evidence=3)
    for offset, older in enumerate((timedelta(0), lateness, lateness + timedelta(milliseconds=1))):
        counter.count(offset, scored(offset, newest - older, newest, Random(1)))
    assert (counter.counted, counter.late) == (2, 1)
    assert moment_of(minute_of(newest)) == newest.replace(second=0)
    for bucket in counter.changed():
        assert bucket.minute in {moment.replace(second=0) for moment in (newest, newest - lateness)}


def test_a_late_write_of_a_worker_that_lost_the_partition_does_not_win() -> None:
    random = Random(2)
    log = [scored(origin, START, START, random) for origin in range(4)]
    old, new = fresh(), fresh()
    old.count(0, log[0])
    stale = old.changed()
    for offset, document in enumerate(log):
        new.count(offset, document)
    written: list[WindowRecord] = [
        *new.changed(),
        new.checkpoint(caught_up=True),
        *stale,
        old.checkpoint(caught_up=False),
    ]

    after = fresh()
    for record in written:
        after.restore(record)

    assert after.position == 4
    after.count(4, scored(4, START, START, random))
    held, _ = newest([*written, *after.changed()])
    assert sum(bucket.documents for bucket in held.values()) == after.counted == 5


def test_a_skipped_offset_is_an_error_and_not_a_lost_document() -> None:
    counter = fresh()
    counter.count(0, scored(0, START, START, Random(3)))
    with pytest.raises(GapError, match="offset 2 follows 0"):
        counter.count(2, scored(2, START, START, Random(3)))


def test_expired_documents_are_passed_over_once_it_was_said_so() -> None:
    counter = fresh()
    counter.expire(7)
    counter.count(7, scored(7, START, START, Random(4)))
    assert (counter.position, counter.counted) == (8, 1)
    counter.expire(3)
    assert counter.position == 8


def test_what_is_read_a_second_time_changes_nothing() -> None:
    counter = fresh()
    log = [scored(origin, START, START, Random(8)) for origin in range(3)]
    for offset, document in enumerate(log):
        assert counter.count(offset, document)
    written = counter.to_write(caught_up=True)
    assert not counter.count(1, log[1])
    assert counter.to_write(caught_up=True) == written[-1:]


def test_evidence_is_the_most_negative_headlines_of_stories_each_once() -> None:
    counter = PartitionCounter(0, lateness=LATENESS, evidence=2)
    told = [("a", 0.6, "a"), ("b", 0.9, "b"), ("b", 0.95, "e"), ("c", 0.7, "c"), ("RT b", 0.99, "b"), ("d", 0.5, "d")]
    told.append(("b", 0.95, "as bad and later"))
    for offset, (title, negative, story) in enumerate(told):
        document = msgspec.structs.replace(
            scored(offset, START, START, Random(5)),
            id="copy" if title.startswith("RT") else story,
            story=story,
            title=title,
            sentiment="negative",
            topic="Macro",
            probabilities=(negative, 0.0, 0.0),
        )
        counter.count(offset, document)
    (bucket,) = counter.changed()
    assert (bucket.negative, bucket.negative_stories) == (7, 6)
    assert [(item.title, item.negative, item.id) for item in bucket.evidence] == [("b", 0.95, "e"), ("c", 0.7, "c")]


@pytest.mark.parametrize("compacted", [False, True])
def test_restoring_forgets_what_a_checkpoint_closed_wherever_it_stands(compacted: bool) -> None:
    random = Random(6)
    counter = fresh()
    minutes = 90
    written: list[WindowRecord] = []
    for offset in range(minutes):
        event = START + timedelta(minutes=offset)
        counter.count(offset, scored(offset, event, event, random))
        written += [*counter.changed(), counter.checkpoint(caught_up=False)]
    assert isinstance(written[-1], Checkpoint)
    after = fresh()
    for record in random.sample(written, len(written)) if compacted else written:
        after.restore(record)
    assert after.open_buckets == counter.open_buckets == sum(map(len, after._open.values())) < 10
    assert counter.open_buckets == sum(map(len, counter._open.values()))
    assert after.checkpoint(caught_up=False) == written[-1]


def test_a_headline_says_whose_it_is_and_whether_its_bundle_was_made_for_it() -> None:
    counter = fresh()
    told = msgspec.structs.replace(
        scored(0, START, START, Random(9)),
        sentiment="negative",
        source="wire",
        url="https://wire.example/1",
        language="de",
        fallback=True,
    )
    counter.count(0, told)
    (bucket,) = counter.changed()
    assert bucket.evidence == (
        Evidence(
            id=told.id,
            title=told.title,
            negative=told.probabilities[0],
            published_at=START,
            source="wire",
            url="https://wire.example/1",
            language="de",
            fallback=True,
        ),
    )


def test_a_counter_that_is_to_keep_no_headlines_counts_all_the_same() -> None:
    counter = PartitionCounter(0, lateness=LATENESS, evidence=0)
    counter.count(0, msgspec.structs.replace(scored(0, START, START, Random(9)), sentiment="negative"))
    (bucket,) = counter.changed()
    assert (bucket.negative_stories, bucket.evidence) == (1, ())
