"""The detector's arithmetic, held against scipy's and against its own promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, binomtest

from alerts.baseline import Baseline
from alerts.detector import detect, raised, still_high, tail, wilson_lower, wilson_upper
from alerts.settings import AlertSettings
from stream.windows import Counts

SETTINGS = AlertSettings()
HOUR = SETTINGS.windows["1h"]
USUAL = Baseline(mean=0.21, strength=60, stories=4000)

counts = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
shares = st.floats(0.01, 0.99)


def verdict(negative: int, stories: int, usual: Baseline = USUAL):  # type: ignore[no-untyped-def]
    window = Counts(documents=stories, stories=stories, negative_stories=negative)
    return detect("Financials", "1h", 0, window, usual, SETTINGS, HOUR)


@given(counts)
def test_the_bounds_are_wilsons(pair: tuple[int, int]) -> None:
    negative, stories = pair
    if not stories:
        assert wilson_lower(negative, stories, 1.96) == 0
        return
    interval = binomtest(negative, stories).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_lower(negative, stories, 1.959963984540054) == pytest.approx(interval.low, abs=1e-12)
    assert wilson_upper(negative, stories, 1.959963984540054) == pytest.approx(interval.high, abs=1e-12)


@given(counts, shares, st.floats(0.5, 5000))
def test_the_tail_is_that_of_the_beta_binomial(pair: tuple[int, int], mean: float, strength: float) -> None:
    negative, stories = pair
    usual = Baseline(mean, strength, 100)
    # scipy's own tail is one minus a sum, and loses the digits that matter.
    expected = float(np.sum(betabinom.pmf(np.arange(negative, stories + 1), stories, usual.alpha, usual.beta)))
    assert tail(negative, stories, usual) == pytest.approx(expected, rel=1e-7, abs=1e-300)


@given(counts, shares, st.floats(2, 5000))
def test_more_negative_stories_are_never_more_likely(pair: tuple[int, int], mean: float, strength: float) -> None:
    negative, stories = pair
    usual = Baseline(mean, strength, 100)
    assert tail(negative, stories + 1, usual) >= tail(negative + 1, stories + 1, usual) * (1 - 1e-9)


def test_a_tiny_tail_keeps_its_digits() -> None:
    usual = Baseline(0.2, 500, 10_000)
    assert tail(95, 100, usual) == pytest.approx(sum(betabinom.pmf(k, 100, 100, 400) for k in range(95, 101)), rel=1e-9)


@given(shares, st.floats(1, 5), st.floats(1, 5))
def test_a_raised_share_lies_between_the_usual_one_and_all(mean: float, lift: float, more: float) -> None:
    assert mean - 1e-12 <= raised(mean, lift) <= 1
    assert raised(mean, lift) <= raised(mean, lift * more) + 1e-12


@pytest.mark.parametrize(("mean", "lift", "expected"), [(0.2, 1.5, 0.3), (0.75, 1.5, 1 - 0.25 / 1.5), (0.5, 2.5, 0.8)])
def test_a_raised_share_grows_the_negative_part_or_shrinks_the_rest(mean: float, lift: float, expected: float) -> None:
    assert raised(mean, lift) == pytest.approx(expected)


def test_a_spike_fires_and_says_why() -> None:
    found = verdict(41, 52)
    assert found.fires
    assert found.severity == "critical"
    assert found.reason.startswith(
        "Financials: 41 of 52 stories in the last hour are negative (79%, at least 68% with 95% confidence); usual is"
        " 21%, and chance alone does this in"
    )


def test_a_calm_window_neither_fires_nor_holds() -> None:
    found = verdict(11, 52)
    assert (found.fires, found.holds, found.chance) == (False, False, None)


def test_a_window_of_few_stories_is_not_judged_yet_may_hold() -> None:
    found = verdict(HOUR.min_stories - 1, HOUR.min_stories - 1)
    assert (found.judged, found.fires, found.holds) == (False, False, True)
    assert found.reason.endswith("too little to judge.")


def test_a_topic_without_enough_past_is_not_judged() -> None:
    short = verdict(41, 52, Baseline(0.21, 60, SETTINGS.baseline.min_history_stories - 1))
    assert (short.judged, short.fires, short.chance) == (False, False, None)
    assert verdict(41, 52, Baseline(0.21, 60, SETTINGS.baseline.min_history_stories)).judged
    assert verdict(HOUR.min_stories, HOUR.min_stories).judged


def test_a_topic_that_is_hardly_ever_negative_is_held_to_the_bar_of_ten_percent() -> None:
    rare = Baseline(0.02, 500, 10_000)
    assert not verdict(9, 40, rare).fires
    assert verdict(16, 40, rare).fires


def test_a_bigger_share_than_usual_that_chance_explains_does_not_fire() -> None:
    wide = Baseline(0.21, 3, 12)
    found = verdict(30, 52, wide)
    assert found.lower_bound > found.bar
    assert found.chance is not None
    assert found.chance > found.alpha
    assert not found.fires


def test_alpha_is_the_false_alerts_allowed_in_the_time_of_a_window() -> None:
    assert SETTINGS.alpha(HOUR) == pytest.approx(SETTINGS.false_alerts_per_topic_year / (365.25 * 24))


def test_the_season_is_named() -> None:
    assert "at this hour of the week" in verdict(41, 52, Baseline(0.21, 60, 4000, "week")).reason


@pytest.mark.parametrize(
    ("negative", "stories", "said"), [(30, 60, True), (17, 52, True), (12, 60, False), (4, 15, None), (0, 0, None)]
)
def test_the_newest_stories_keep_an_alert_up_or_end_it_or_do_not_say(
    negative: int, stories: int, said: bool | None
) -> None:
    part = Counts(documents=stories, stories=stories, negative_stories=negative)
    assert still_high(part, USUAL, SETTINGS) is said


def test_an_alert_is_kept_up_by_a_lower_bar_than_the_one_that_begins_it() -> None:
    found = verdict(17, 52)
    assert USUAL.mean < found.lower_bound < found.bar
    assert (found.fires, found.holds) == (False, True)


def test_critical_is_what_surely_lies_so_high() -> None:
    found = verdict(30, 52)
    assert found.lower_bound < raised(USUAL.mean, SETTINGS.critical_lift) < found.share
    assert found.severity == "warning"


def test_copies_of_a_story_weigh_nothing() -> None:
    window = Counts(documents=500, negative=460, stories=52, negative_stories=11)
    found = detect("Financials", "1h", 0, window, USUAL, SETTINGS, HOUR)
    assert (found.documents, found.stories, found.negative) == (500, 52, 11)
    assert found.share == pytest.approx(11 / 52)
    assert (found.lower_bound, found.fires) == (verdict(11, 52).lower_bound, False)


def test_the_newest_stories_of_a_topic_that_is_hardly_ever_negative_are_held_to_ten_percent_too() -> None:
    part = Counts(documents=60, stories=60, negative_stories=4)
    assert still_high(part, Baseline(0.02, 500, 10_000), SETTINGS) is False
