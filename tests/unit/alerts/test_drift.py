"""The CUSUM over standardised shares."""

from random import Random

import pytest

from alerts.baseline import Baseline
from alerts.drift import Cusum, standardised
from alerts.settings import DriftSettings
from stream.windows import Counts

SETTINGS = DriftSettings()
USUAL = Baseline(0.2, 50, 1000)


def counts(stories: int, negative: int) -> Counts:
    return Counts(documents=stories, stories=stories, negative_stories=negative)


def run(shares: list[float], rng: Random) -> Cusum:
    cusum = Cusum()
    for day, share in enumerate(shares):
        negative = sum(rng.random() < share for _ in range(40))
        cusum = cusum.after(day, counts(40, negative), USUAL, SETTINGS)
    return cusum


def test_a_standardised_share_is_in_standard_deviations() -> None:
    assert standardised(50, 10, USUAL) == 0
    deviation = (50 * 0.16 * (1 + 49 / 51)) ** 0.5
    assert standardised(50, 20, USUAL) == pytest.approx(10 / deviation)


def test_calm_never_adds_up() -> None:
    assert run([0.2] * 2000, Random(5)).level < SETTINGS.limit


def test_a_share_that_stays_high_adds_up() -> None:
    cusum = run([0.2] * 30 + [0.35] * 20, Random(5))
    assert cusum.level >= SETTINGS.limit
    assert cusum.since is not None
    assert cusum.run.share == pytest.approx(0.35, abs=0.05)
    assert run([0.9] * 100, Random(5)).level == 1.5 * SETTINGS.limit, "it must come down again in good time"


def test_one_burst_is_capped() -> None:
    assert Cusum().after(0, counts(500, 500), USUAL, SETTINGS).level == SETTINGS.cap - SETTINGS.slack


def test_few_stories_wait_for_the_next_window() -> None:
    cusum = Cusum().after(0, counts(6, 6), USUAL, SETTINGS)
    assert (cusum.level, cusum.waited) == (0, 1)
    cusum = cusum.after(1, counts(6, 6), USUAL, SETTINGS)
    assert cusum.level > 0
    assert cusum.run.stories == 12
    assert Cusum().after(0, counts(SETTINGS.min_stories, 6), USUAL, SETTINGS).run.stories == SETTINGS.min_stories


def test_the_sum_goes_on_after_windows_that_were_too_small() -> None:
    high = Cusum().after(0, counts(40, 20), USUAL, SETTINGS)
    waiting = high.after(1, counts(3, 3), USUAL, SETTINGS).after(2, counts(4, 4), USUAL, SETTINGS)
    assert (waiting.level, waiting.run, waiting.waited) == (high.level, high.run, 2)
    later = waiting.after(3, counts(40, 20), USUAL, SETTINGS)
    assert later.level > high.level
    assert (later.since, later.run.stories, later.waited) == (0, 40 + 3 + 4 + 40, 0)


def test_the_run_is_forgotten_once_the_level_is_back() -> None:
    cusum = Cusum().after(0, counts(40, 20), USUAL, SETTINGS)
    for day in range(1, 5):
        cusum = cusum.after(day, counts(40, 4), USUAL, SETTINGS)
    assert cusum == Cusum()


def test_windows_that_waited_belong_to_the_time_that_is_told() -> None:
    cusum = Cusum()
    for day in range(4, 8):
        cusum = cusum.after(day, counts(3, 3), USUAL, SETTINGS)
    assert (cusum.since, cusum.run.stories) == (4, 12)
