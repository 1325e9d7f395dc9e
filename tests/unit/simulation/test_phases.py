"""The course of the crisis, at any moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.simulation.phases import RESCUE_SECONDS, RISE_SECONDS, Course

seconds = st.floats(min_value=-10_000, max_value=100_000, allow_nan=False)


@given(seconds)
def test_fear_and_relief_are_shares_that_exclude_each_other(second: float) -> None:
    course = Course(45, 135, every=600)
    fear, relief = course.fear(second), course.relief(second)
    assert 0 <= fear <= 1
    assert 0 <= relief <= 1
    assert fear == 0 or relief == 0


@given(seconds)
def test_calm_is_neither_fear_nor_relief(second: float) -> None:
    course = Course(45, 135)
    assert (course.phase(second) == "calm") == (second < 45 or second >= 135 + RESCUE_SECONDS)
    if course.phase(second) == "calm":
        assert course.fear(second) == course.relief(second) == 0


def test_the_run_is_full_within_seconds() -> None:
    course = Course(45, 135)
    assert course.fear(45 + RISE_SECONDS) == 1
    assert course.fear(134.9) == 1
    assert course.fear(135) == 0


def test_the_rescue_stops_being_news() -> None:
    course = Course(45, 135)
    assert course.relief(135) == 1
    assert course.relief(135 + RESCUE_SECONDS / 2) == pytest.approx(0.5)


@given(st.integers(min_value=0, max_value=2399), st.integers(min_value=0, max_value=20))
def test_a_crisis_that_comes_back_is_the_same_each_time(quarters: int, times: int) -> None:
    course = Course(45, 135, every=600)
    second = 45 + quarters / 4
    assert course.phase(second + 600 * times) == course.phase(second)
    assert course.cycle(second + 600 * times) == times


def test_a_crisis_that_comes_once_does_not_come_back() -> None:
    course = Course(45, 135)
    assert {course.phase(second) for second in range(200, 20_000, 7)} == {"calm"}
    assert course.cycle(20_000) == 0


@pytest.mark.parametrize("wrong", [(-1, 10, None), (10, 5, None), (10, 100, 90), (10, 100, 110)])
def test_a_course_that_cannot_be_is_refused(wrong: tuple[float, float, float | None]) -> None:
    with pytest.raises(ValueError, match="crisis must"):
        Course(*wrong)
