from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.console.history import LEAST_STORIES, POINTS, Steps, steps_of, trail
from stream.windows import WindowTable, minute_of, moment_of
from tests.unit.dashboards.console.records import START, bucket

FIRST = minute_of(START)
WEEK = 7 * 24 * 60

counts = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 5), st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=40
)
ends = st.integers(FIRST + 1, FIRST + 500)
cuts = st.sampled_from([(60, Steps(15)), (15, Steps(5)), (60, Steps(30, 4)), (7, Steps(7, 5)), (WEEK, Steps(1, 9))])


def table_of(entries: list[tuple[int, int, int, int]]) -> WindowTable:
    table = WindowTable()
    for minute, calm, negative, partition in entries:
        table.put(bucket("Macro", minute, stories=calm + negative, negative=negative, partition=partition))
    return table


@pytest.mark.parametrize(
    ("window", "step", "hours"), [(15, 5, 4), (60, 15, 12), (24 * 60, 240, 192), (WEEK, 240, 192), (7, 7, 5.6)]
)
def test_steps_are_round_and_reach_far_beyond_the_window(window: int, step: int, hours: float) -> None:
    steps = steps_of(window, WEEK)
    assert (steps.minutes, steps.reach / 60) == (step, hours)


@pytest.mark.parametrize(("age", "reach"), [(1, 48), (48, 48), (49, 96), (300, 480), (800, 720), (9999, 720)])
def test_a_young_stream_fills_its_charts(age: int, reach: int) -> None:
    assert steps_of(60, WEEK, age).reach == reach


@given(st.integers(1, 30 * 24 * 60))
def test_steps_tile_the_window(window: int) -> None:
    assert window % steps_of(window, WEEK).minutes == 0


@given(counts, ends, cuts)
def test_a_trail_holds_every_story_of_its_span_once(
    entries: list[tuple[int, int, int, int]], end: int, cut: tuple[int, Steps]
) -> None:
    window, steps = cut
    table = table_of(entries)
    points = trail(table, "Macro", end, window, steps)

    start = minute_of(points[0].start)
    assert len(points) == steps.points
    assert points[-1].end == moment_of(end)
    assert all(a.end == b.start for a, b in pairwise(points))
    assert sum(point.stories for point in points) == table.window("Macro", end, end - start).stories


@given(counts, ends, cuts)
def test_each_share_is_that_of_the_window_which_ends_there(
    entries: list[tuple[int, int, int, int]], end: int, cut: tuple[int, Steps]
) -> None:
    window, steps = cut
    table = table_of(entries)
    for point in trail(table, "Macro", end, window, steps):
        whole = table.window("Macro", minute_of(point.end), window)
        assert point.share == (whole.share if whole.stories >= LEAST_STORIES else None)


def test_a_step_keeps_its_edges_as_time_goes_on() -> None:
    table = table_of([(minute, 1, 0, 0) for minute in range(300)])
    earlier = trail(table, "Macro", FIRST + 271, 60, Steps(15))
    later = trail(table, "Macro", FIRST + 280, 60, Steps(15))
    assert earlier[:-1] == later[:-1]
    assert (earlier[-1].start, earlier[-1].stories, later[-1].stories) == (later[-1].start, 1, 10)


def test_a_topic_without_buckets_has_an_empty_trail() -> None:
    points = trail(WindowTable(), "Macro", FIRST, 60, Steps(15))
    assert {(point.stories, point.share) for point in points} == {(0, None)}
    assert len(points) == POINTS
