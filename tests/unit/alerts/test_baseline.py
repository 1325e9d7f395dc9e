"""What is usual: fits of made-up pasts whose truth is known."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from alerts.baseline import (
    DAY,
    HOUR,
    NOTHING,
    WEEK,
    Baseline,
    History,
    Moments,
    Season,
    dispersion_of,
    effective_stories,
    fit,
)
from alerts.settings import BaselineSettings

SETTINGS = BaselineSettings()

windows = st.lists(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=40)


def sums(past: list[tuple[int, int]]) -> Moments:
    total = NOTHING
    for stories, negative in past:
        total = total.plus(Moments.of(stories, negative))
    return total


def beta_binomial(rng: Random, count: int, stories: int, mean: float, dispersion: float) -> Moments:
    strength = 1 / dispersion - 1
    past = []
    for _ in range(count):
        share = rng.betavariate(mean * strength, (1 - mean) * strength)
        past.append((stories, sum(rng.random() < share for _ in range(stories))))
    return sums(past)


@given(windows)
def test_no_order_of_the_past_changes_a_digit(past: list[tuple[int, int]]) -> None:
    assert sums(past) == sums(list(reversed(past)))


@given(windows, windows)
def test_what_is_taken_away_leaves_no_trace(kept: list[tuple[int, int]], gone: list[tuple[int, int]]) -> None:
    assert sums(kept + gone).plus(sums(gone).negated()) == sums(kept)


@given(windows, windows, st.none() | windows)
def test_every_baseline_is_a_proper_beta(
    own: list[tuple[int, int]], overall: list[tuple[int, int]], season: list[tuple[int, int]] | None
) -> None:
    hour = Season("week", sums(season)) if season is not None else None
    found = fit(sums(own), hour, sums(overall), SETTINGS)
    assert 0 < found.mean < 1
    assert found.strength > 0
    low, high = found.range(10, 2)
    assert 0 <= low <= found.mean <= high <= 1


def test_without_any_past_the_prior_stands() -> None:
    assert fit(NOTHING, None, NOTHING, SETTINGS).mean == pytest.approx(SETTINGS.prior_share)


def test_a_new_topic_is_expected_to_be_like_the_others() -> None:
    others = sums([(50, 30)] * 100)
    assert fit(NOTHING, None, others, SETTINGS).mean == pytest.approx(0.6, abs=0.01)
    assert fit(NOTHING, None, sums([(50, 30)]), SETTINGS).mean == pytest.approx((0.6 + SETTINGS.prior_share) / 2)


def test_a_long_past_outweighs_the_others() -> None:
    found = fit(sums([(50, 5)] * 100), None, sums([(50, 30)] * 100), SETTINGS)
    assert found.mean == pytest.approx(0.1, abs=0.005)


def test_a_short_past_makes_a_wide_baseline() -> None:
    short, long = (fit(sums([(10, 2)] * count), None, NOTHING, SETTINGS) for count in (1, 100))
    assert short.strength < long.strength / 3


def test_the_strength_holds_what_is_not_known_of_the_mean_and_how_windows_differ() -> None:
    found, known = fit(NOTHING, None, NOTHING, SETTINGS), SETTINGS.overall_stories
    of_windows, of_the_mean = SETTINGS.prior_dispersion * known / (known + 1), 1 / (known + 1)
    assert 1 / (found.strength + 1) == pytest.approx(of_windows + of_the_mean)


def test_an_hour_without_stories_says_nothing_beyond_a_short_past() -> None:
    own = sums([(10, 2)] * 3)
    bare, hour = (fit(own, season, NOTHING, SETTINGS) for season in (None, Season("week", NOTHING)))
    assert (hour.mean, hour.strength) == (bare.mean, bare.strength)


@given(st.floats(0.1, 0.9), st.floats(1, 1000), st.integers(1, 300))
def test_the_usual_range_is_in_standard_deviations_of_the_beta_binomial(
    mean: float, strength: float, stories: int
) -> None:
    usual, z = Baseline(mean, strength, 0), 0.1
    deviation = betabinom.std(stories, usual.alpha, usual.beta) / stories
    assert usual.range(stories, z) == pytest.approx((mean - z * deviation, mean + z * deviation))


@pytest.mark.parametrize("dispersion", [0.01, 0.05, 0.2, 0.9])
def test_the_dispersion_of_a_long_past_is_found(dispersion: float) -> None:
    past = beta_binomial(Random(3), 2000, 30, 0.25, dispersion)
    assert dispersion_of(past, SETTINGS) == pytest.approx(min(dispersion, 0.5), rel=0.15)


def test_busy_windows_that_are_calmer_do_not_hide_the_dispersion() -> None:
    mixed = sums([(300, 60), (20, 12)] * 200)
    assert dispersion_of(mixed, SETTINGS) > 0.02


def test_windows_of_two_stories_hardly_move_the_dispersion() -> None:
    extreme = sums([(2, 2), (2, 0)] * 6)
    assert dispersion_of(extreme, SETTINGS) == pytest.approx(SETTINGS.prior_dispersion, rel=0.1)


def test_a_past_without_mixed_windows_has_a_dispersion_still() -> None:
    assert 0 < dispersion_of(sums([(10, 0)] * 500), SETTINGS) < SETTINGS.prior_dispersion


def test_correlated_stories_tell_less() -> None:
    past = sums([(100, 20)] * 10)
    assert effective_stories(past, 0.0) == 1000
    assert effective_stories(past, 0.02) == pytest.approx(1000 / (1 + 99 * 0.02))


def filled(length: int, days: int, settings: BaselineSettings = SETTINGS) -> History:
    history = History(length, settings)
    for start in range(0, days * DAY, length):
        busy = start % DAY // HOUR == 9
        history.add(start, start + length, 20, 12 if busy else 4)
    return history


def test_a_past_forgets_what_is_older_than_its_horizon() -> None:
    history = filled(HOUR, 200)
    assert history.total.windows == pytest.approx(SETTINGS.history_days * 24, abs=2)
    for length in (5, HOUR):
        history = filled(length, 1, BaselineSettings(history_days=0.01))
        assert length <= history.total.windows * length <= 2 * HOUR, "the newest, however short the horizon"


def test_short_windows_are_kept_by_the_hour() -> None:
    history = filled(5, 3)
    assert history.total.windows == 3 * DAY // 5
    assert len(history._cells) == 3 * 24


@pytest.mark.parametrize("length", [5, HOUR])
def test_the_same_hour_of_the_week_counts_once_there_is_enough_of_it(length: int) -> None:
    seasons = [filled(length, days).season(4 * WEEK + 9 * HOUR) for days in (2, 3, 14, 15)]
    assert [season and season.period for season in seasons] == [None, "day", "day", "week"]
    assert {season.moments.negative / season.moments.stories for season in seasons if season} == {0.6}


def test_a_long_window_is_held_against_the_hours_in_which_most_of_it_lies() -> None:
    history = History(6 * HOUR, SETTINGS)
    for start in range(0, 4 * WEEK, 6 * HOUR):
        history.add(start, start + 6 * HOUR, 20, 12 if start % DAY == 6 * HOUR else 4)
    seasons = [history.season(4 * WEEK + hour * HOUR) for hour in range(24)]
    busy = [season is not None and season.moments.negative > season.moments.stories / 2 for season in seasons]
    assert [hour for hour in range(24) if busy[hour]] == [3, 4, 5, 6, 7, 8]


def test_the_season_moves_the_mean() -> None:
    history = filled(HOUR, 25)
    busy, quiet = (fit(history.total, history.season(4 * WEEK + h * HOUR), NOTHING, SETTINGS).mean for h in (9, 3))
    assert busy > 0.35
    assert quiet < 0.22


def test_a_day_has_no_season() -> None:
    assert filled(DAY, 60).season(60 * DAY) is None
