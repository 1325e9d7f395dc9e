import random

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.headlines import most_negative
from stream.records import Bucket, Evidence
from stream.windows import NOTHING, THIN_AFTER, Counts, WindowTable, minute_of, moment_of
from tests.unit.stream.headlines import item

DAY = 24 * 60
BASE = 20_000 * DAY  # midnight of some day

LAST = 3


def as_applied(topic: str, minute: int, partition: int, applied: int, closed: bool) -> Bucket:
    """A bucket's value follows from how far the log was applied; only the last one may be closed."""
    stories = (5 * minute + 3 * partition + 2 * applied) % 10
    return Bucket(
        topic=topic,
        minute=moment_of(BASE + minute),
        partition=partition,
        applied=applied,
        documents=stories + 1,
        negative=stories // 2,
        neutral=1,
        positive=stories - stories // 2,
        stories=stories,
        negative_stories=stories // 2,
        evidence=(item(f"bad {minute}", 0.9),) * (stories > 4),
        closed=closed and applied == LAST,
    )


buckets = st.builds(
    as_applied,
    st.sampled_from(("Macro", "Energy | Oil")),
    st.sampled_from((0, 1, 90)) | st.integers(0, 3 * DAY),
    st.integers(0, 2),
    st.integers(0, LAST),
    st.booleans(),
)


def newest(items: list[Bucket]) -> dict[tuple[str, int, int], Bucket]:
    held: dict[tuple[str, int, int], Bucket] = {}
    for bucket in items:
        key = (bucket.topic, minute_of(bucket.minute), bucket.partition)
        if key not in held or (held[key].applied, held[key].closed) < (bucket.applied, bucket.closed):
            held[key] = bucket
    return held


def table_of(items: list[Bucket]) -> WindowTable:
    table = WindowTable()
    for bucket in items:
        table.put(bucket)
    return table


@given(st.lists(buckets, max_size=40), st.integers(-100, 4 * DAY), st.integers(1, 3 * DAY))
def test_a_window_is_the_sum_of_its_buckets(items: list[Bucket], end: int, length: int) -> None:
    expected = NOTHING
    for (topic, minute, _), bucket in newest(items).items():
        if topic == "Macro" and BASE + end - length <= minute < BASE + end:
            expected = expected.plus(Counts.of(bucket))
    assert table_of(items).window("Macro", BASE + end, length) == expected


@given(st.lists(buckets, max_size=40), st.integers(0, 3 * DAY))
def test_dropping_the_past_leaves_the_rest_as_it_was(items: list[Bucket], limit: int) -> None:
    table = table_of(items)
    minutes = [minute_of(bucket.minute) for bucket in items if minute_of(bucket.minute) >= BASE + limit]
    later = [table.window(topic, BASE + 4 * DAY, 4 * DAY - limit) for topic in ("Macro", "Energy | Oil")]
    table.drop_before(BASE + limit)
    assert [table.window(topic, BASE + 4 * DAY, 9 * DAY) for topic in ("Macro", "Energy | Oil")] == later
    assert table.span() == ((min(minutes), max(minutes) + 1) if minutes else None)
    table.drop_before(BASE + 4 * DAY)
    for topic in table._topics.values():
        sums = (sums._cells for sums in topic._sums)
        held = (topic._open, topic._closed, topic._closed_headlines, topic._with_headlines, *sums)
        assert not any(held), "it would grow for ever"


@given(st.lists(buckets, max_size=40))
def test_span_and_topics_are_those_of_the_buckets_held(items: list[Bucket]) -> None:
    table = table_of(items)
    minutes = [minute_of(bucket.minute) for bucket in items]
    assert table.span() == ((min(minutes), max(minutes) + 1) if minutes else None)
    assert table.topics() == sorted({bucket.topic for bucket in items})
    for topic in table.topics():
        assert table.minutes(topic) == sorted({minute_of(b.minute) for b in items if b.topic == topic})


def test_an_older_value_of_a_bucket_does_not_replace_a_newer_one() -> None:
    table = WindowTable()
    new = Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=9, documents=5)
    old = Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=4, documents=2)
    assert table.put(new)
    assert not table.put(old)
    assert table.window("Macro", BASE + 1, 1).documents == 5
    closed = Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=9, documents=5, closed=True)
    assert table.put(closed)
    assert not table.put(closed), "it is held as a sum, for good"
    assert not table._topics["Macro"]._open, "and as nothing else"
    assert table.window("Macro", BASE + 1, 1).documents == 5


@pytest.mark.parametrize("closed_first", [False, True])
def test_a_closed_value_stands_whatever_else_comes(closed_first: bool) -> None:
    """Two workers of different allowances may live at once: one counts on where the other has closed."""
    values = [
        Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=5, documents=3, closed=True),
        Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=9, documents=5),
    ]
    table = table_of(values if closed_first else values[::-1])
    assert table.window("Macro", BASE + 1, 1).documents == 3


def test_series_are_neighbouring_windows_oldest_first() -> None:
    table = table_of(
        [
            Bucket(topic="Macro", minute=moment_of(BASE + minute), partition=0, applied=0, documents=minute)
            for minute in range(1, 7)
        ]
    )
    assert [counts.documents for counts in table.series("Macro", BASE + 7, 2, 3)] == [1 + 2, 3 + 4, 5 + 6]


told = st.builds(
    lambda minute, partition, applied, closed, titles: Bucket(
        topic="Macro",
        minute=moment_of(BASE + minute),
        partition=partition,
        applied=applied,
        evidence=tuple(item(title, negative) for title, negative in titles),
        closed=closed,
    ),
    st.integers(0, 8),
    st.integers(0, 1),
    st.integers(0, 2),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9])), max_size=3),
)


def telling(minute: int, title: str, negative: float) -> Bucket:
    return Bucket(
        topic="Macro", minute=moment_of(BASE + minute), partition=0, applied=0, evidence=(item(title, negative),)
    )


@given(st.lists(told, max_size=30), st.lists(told, max_size=10), st.integers(0, 9), st.integers(0, 3))
@example([telling(3, "a", 0.6), telling(2, "a", 0.9), telling(1, "b", 0.5)], [], 9, 2)
def test_a_window_that_ends_later_shows_the_same_after_thinning(
    before: list[Bucket], after: list[Bucket], since: int, keep: int
) -> None:
    whole, thinned = table_of(before), table_of(before)
    thinned.thin(BASE + since, keep)
    # What comes now is of minutes that nobody has thinned.
    for bucket in after:
        if minute_of(bucket.minute) >= BASE + since:
            assert thinned.put(bucket) == whole.put(bucket)
    for end in range(since, 11):
        for length in range(1, 12):
            for limit in range(keep + 1):
                asked = ("Macro", BASE + end, length, limit)
                assert thinned.evidence(*asked) == whole.evidence(*asked)
            assert thinned.window("Macro", BASE + end, length) == whole.window("Macro", BASE + end, length)


HEADLINES = 2


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from("abcdefg"), st.sampled_from([0.6, 0.7, 0.8])),
        max_size=30,
    ),
    st.sets(st.integers(0, 30), max_size=3),
    st.integers(0, 4),
    st.integers(0, HEADLINES),
)
def test_buckets_that_are_open_may_be_thinned_to_what_a_bucket_has(
    stories: list[tuple[int, int, str, float]], thinned_at: set[int], since: int, keep: int
) -> None:
    """A headline that its bucket lets go has made room for as many that are more negative."""
    whole, thinned = WindowTable(), WindowTable()
    found: dict[tuple[int, int], list[Evidence]] = {}
    for number, (minute, partition, title, negative) in enumerate(stories):
        held = found.setdefault((minute, partition), [])
        held.append(item(title, negative))
        value = Bucket(
            topic="Macro",
            minute=moment_of(BASE + minute),
            partition=partition,
            applied=number,
            evidence=most_negative(held, HEADLINES),
        )
        assert whole.put(value)
        assert thinned.put(value)
        if number in thinned_at:
            thinned.thin(BASE + since, keep)
    for end in range(since, 5):
        for length in range(1, 6):
            for limit in range(keep + 1):
                asked = ("Macro", BASE + end, length, limit)
                assert thinned.evidence(*asked) == whole.evidence(*asked)


def test_thinning_is_worth_it_once_as_much_came_as_it_must_look_at() -> None:
    table = WindowTable()
    buckets = [telling(minute, str(minute), 1 - minute / 10_000) for minute in range(3 * THIN_AFTER)]
    for number, entry in enumerate(buckets, 1):
        table.put(entry)
        if number in (THIN_AFTER - 1, 2 * THIN_AFTER - 1):
            assert not table.is_worth_thinning
        if number in (THIN_AFTER, 2 * THIN_AFTER):
            assert table.is_worth_thinning
            table.thin(BASE + number, THIN_AFTER)
    assert not table.is_worth_thinning, "it would look at three times as many as came"


@pytest.mark.parametrize("closed", [False, True])
def test_few_headlines_of_a_long_past_are_left(closed: bool) -> None:
    chance, table = random.Random(7), WindowTable()
    for minute in range(2 * DAY):
        headlines = tuple(item(f"{minute} {number}", chance.random()) for number in range(3))
        at = moment_of(BASE + minute)
        table.put(Bucket(topic="Macro", minute=at, partition=0, applied=0, evidence=headlines, closed=closed))
    assert table.is_worth_thinning
    table.thin(BASE + 2 * DAY, 10)
    assert not table.is_worth_thinning
    left = table.evidence("Macro", BASE + 2 * DAY, 2 * DAY, 10_000)
    assert 10 < len(left) < 150  # 10 * (1 + ln(8640 / 10)) are 78
    assert len(table._topics["Macro"]._with_headlines) < 150
    assert len(table.minutes("Macro")) == 2 * DAY


def test_headlines_of_closed_buckets_are_those_of_every_partition() -> None:
    table = WindowTable()
    for partition, negative in enumerate((0.7, 0.9, 0.8)):
        table.put(msgspec.structs.replace(telling(0, f"of {partition}", negative), partition=partition, closed=True))
    assert [entry.title for entry in table.evidence("Macro", BASE + 1, 1, 2)] == ["of 1", "of 2"]


def test_evidence_is_the_most_negative_first_and_each_title_once() -> None:
    table = table_of(
        [
            Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=0, evidence=(item("a", 0.7),)),
            Bucket(
                topic="Macro",
                minute=moment_of(BASE + 1),
                partition=1,
                applied=0,
                evidence=(item("b", 0.9), item("a", 0.6)),
            ),
        ]
    )
    assert [entry.negative for entry in table.evidence("Macro", BASE + 2, 2, 5)] == [0.9, 0.7]
    assert [entry.title for entry in table.evidence("Macro", BASE + 2, 2, 5)] == ["b", "a"]
    assert [entry.title for entry in table.evidence("Macro", BASE + 2, 1, 1)] == ["b"]
    assert [entry.title for entry in table.evidence("Macro", BASE + 1, 1, 5)] == ["a"]
