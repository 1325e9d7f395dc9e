from collections import Counter
from itertools import chain

from hypothesis import example, given
from hypothesis import strategies as st

from stream.records import Bucket, Evidence
from stream.windows import NOTHING, Counts, WindowTable, minute_of, moment_of, most_negative

DAY = 24 * 60
BASE = 20_000 * DAY  # midnight of some day

buckets = st.builds(
    lambda topic, minute, partition, applied, stories: Bucket(
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
    ),
    st.sampled_from(("Macro", "Energy | Oil")),
    st.sampled_from((0, 1, 90)) | st.integers(0, 3 * DAY),
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(0, 9),
)


def newest(items: list[Bucket]) -> dict[tuple[str, int, int], Bucket]:
    held: dict[tuple[str, int, int], Bucket] = {}
    for bucket in items:
        key = (bucket.topic, minute_of(bucket.minute), bucket.partition)
        if key not in held or held[key].applied <= bucket.applied:
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
    later = [table.window(topic, BASE + 4 * DAY, 4 * DAY - limit) for topic in ("Macro", "Energy | Oil")]
    table.drop_before(BASE + limit)
    assert [table.window(topic, BASE + 4 * DAY, 9 * DAY) for topic in ("Macro", "Energy | Oil")] == later
    assert all(minute_of(bucket.minute) >= BASE + limit for bucket in table.buckets())
    table.drop_before(BASE + 4 * DAY)
    assert not any(sums._cells for topic in table._topics.values() for sums in topic._sums), "it would grow for ever"


@given(st.lists(buckets, max_size=40))
def test_span_and_topics_are_those_of_the_buckets_held(items: list[Bucket]) -> None:
    table = table_of(items)
    minutes = [minute_of(bucket.minute) for bucket in items]
    assert table.span() == ((min(minutes), max(minutes) + 1) if minutes else None)
    assert table.topics() == sorted({bucket.topic for bucket in items})
    assert Counter(b.key for b in table.buckets()) == Counter(b.key for b in newest(items).values())


def test_an_older_value_of_a_bucket_does_not_replace_a_newer_one() -> None:
    table = WindowTable()
    new = Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=9, documents=5)
    old = Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=4, documents=2)
    assert table.put(new)
    assert not table.put(old)
    assert table.window("Macro", BASE + 1, 1).documents == 5
    closed = Bucket(topic="Macro", minute=moment_of(BASE), partition=0, applied=9, documents=5, closed=True)
    assert table.put(closed)
    assert list(table.buckets()) == [closed]


def test_series_are_neighbouring_windows_oldest_first() -> None:
    table = table_of(
        [
            Bucket(topic="Macro", minute=moment_of(BASE + minute), partition=0, applied=0, documents=minute)
            for minute in range(1, 7)
        ]
    )
    assert [counts.documents for counts in table.series("Macro", BASE + 7, 2, 3)] == [1 + 2, 3 + 4, 5 + 6]


def item(title: str, negative: float) -> Evidence:
    return Evidence(id=f"{title}{negative}", title=title, negative=negative, published_at=moment_of(BASE))


@given(
    st.lists(st.lists(st.builds(item, st.sampled_from("abcde"), st.sampled_from([0.5, 0.7, 0.9])), max_size=6)),
    st.integers(0, 4),
)
@example([[item("a", 0.5)], [item("b", 0.5)]], 1)
def test_evidence_of_parts_is_that_of_the_whole(parts: list[list[Evidence]], limit: int) -> None:
    chosen = [most_negative(part, limit) for part in parts]
    assert most_negative(chain(*reversed(chosen)), limit) == most_negative(chain(*parts), limit)


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
