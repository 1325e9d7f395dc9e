"""The policy refuses what makes no sense, and names it."""

import pytest
from pydantic import ValidationError

from alerts.settings import AlertSettings, DriftSettings, WindowSettings


def test_a_step_must_tile_its_window() -> None:
    with pytest.raises(ValidationError, match="step_minutes = 7 does not divide minutes = 60"):
        WindowSettings(minutes=60, step_minutes=7, min_stories=1)


def test_the_window_of_the_drift_judge_must_exist() -> None:
    with pytest.raises(ValidationError, match=r'drift\.window = "3h" is none of the windows'):
        AlertSettings(drift=DriftSettings(window="3h"))


def test_the_bars_of_an_alert_stand_in_order() -> None:
    with pytest.raises(ValidationError, match=r"resolve_lift = 1\.8 is above lift = 1\.5"):
        AlertSettings(resolve_lift=1.8)
    with pytest.raises(ValidationError, match=r"lift = 3 is above critical_lift = 2\.5"):
        AlertSettings(lift=3)
    AlertSettings(resolve_lift=2, lift=2, critical_lift=2)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="lfit"):
        AlertSettings.model_validate({"lfit": 2})


def test_no_alpha_is_above_one_percent() -> None:
    year = WindowSettings(minutes=525_960, step_minutes=525_960, min_stories=1)
    assert AlertSettings(false_alerts_per_topic_year=5).alpha(year) == 0.01


def test_no_alpha_is_finer_than_the_tail_of_a_beta_is_true() -> None:
    minute = WindowSettings(minutes=1, step_minutes=1, min_stories=1)
    assert AlertSettings().alpha(minute) == 1e-5
