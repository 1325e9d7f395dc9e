"""What alerts have spoken of stays out of the past."""

from hypothesis import given
from hypothesis import strategies as st

from alerts.told import Told

DAY = 24 * 60


def told(ended: int | None = 300) -> Told:
    result = Told(adapt=10 * DAY)
    result.begin("spike", 140, 200)
    if ended is not None:
        result.end("spike", ended)
    return result


def test_the_time_of_an_alert_is_excluded_from_where_its_window_began() -> None:
    assert [told().excludes(start, start + 60) for start in (60, 120, 180, 240, 300)] == [
        False,
        True,
        True,
        True,
        False,
    ]


def test_a_window_that_was_past_before_the_alert_began_stays() -> None:
    assert not told().excludes(80, 140)
    assert told().excludes(140, 170)
    assert not told().excludes(139, 169), "asked for from 199 on, and the alert began at 200"
    assert not Told(DAY).excludes(0, 60)


def test_an_alert_that_lasts_becomes_the_norm() -> None:
    lasting = told(ended=None)
    adapted = 200 + 10 * DAY
    assert lasting.excludes(adapted - 1, adapted + 59)
    assert not lasting.excludes(adapted, adapted + 60)
    assert lasting.calm(adapted + 40, adapted + 100) == 140 + 100


def test_the_calm_clock_stands_still_during_an_alert() -> None:
    assert told().calm(0, 60) == 60
    assert told().calm(139, 169) == 169, "the alert had not begun when it was asked for"
    assert told().calm(190, 250) == 140
    assert told().calm(340, 400) == 400 - (300 - 140)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 50), st.integers(1, 200)), max_size=8))
def test_overlapping_alerts_stop_the_calm_clock_once(stretches: list[tuple[int, int, int]]) -> None:
    covered: set[int] = set()
    result = Told(adapt=10 * DAY)
    for number, (started, reach, lasted) in enumerate(stretches):
        result.begin(str(number), started - reach, started)
        result.end(str(number), started + lasted)
        covered |= set(range(started - reach, started + lasted))
    assert result.calm(1990, 2000) == 2000 - len(covered)


def test_a_window_that_holds_part_of_a_finished_alert_is_known() -> None:
    assert told().finished_after("spike", 299)
    assert not told().finished_after("spike", 300)
    assert not told().finished_after("drift", 0)
    assert not told(ended=None).finished_after("spike", 0)


def test_an_alert_has_spoken_of_its_time_for_its_own_judge_until_that_one_ends_it() -> None:
    both = told(ended=None)
    both.begin("drift", 240, 260)
    both.end("spike", 300)
    assert [both.overlaps("spike", start, start + 60) for start in (80, 81, 299, 300)] == [False, True, True, False]
    assert [both.overlaps("drift", start, start + 60) for start in (180, 181, 300)] == [False, True, True]
