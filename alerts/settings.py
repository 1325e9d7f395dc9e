"""What counts as alarming: the policy of the judge. Section `alerts`."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MINUTES_PER_YEAR = 365.25 * 24 * 60


class WindowSettings(BaseModel):
    """One judged window: the stories of the last `minutes`, looked at every `step_minutes` of event time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minutes: int = Field(ge=1, description="Length of the window.")
    step_minutes: int = Field(ge=1, description="Time between two looks at it; divides the length.")
    min_stories: int = Field(ge=1, description="With fewer stories than this the window is not judged.")

    @model_validator(mode="after")
    def _steps_tile_the_window(self) -> Self:
        if self.minutes % self.step_minutes:
            raise ValueError(f"step_minutes = {self.step_minutes} does not divide minutes = {self.minutes}")
        return self


class BaselineSettings(BaseModel):
    """How a topic's usual share is learned from its past, and what stands in for a past that is short."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history_days: float = Field(
        90,
        gt=0,
        description="Days outside alerts that are looked back on; after a restart, as far as `windows` reaches back.",
    )
    min_history_stories: int = Field(
        10, ge=0, description="A topic is judged once its past, before the window, holds so many stories."
    )
    prior_share: float = Field(0.25, gt=0, lt=1, description="Usual negative share while nothing has been seen.")
    prior_stories: float = Field(50, gt=0, description="How many stories that prior share is worth.")
    overall_stories: float = Field(
        # Usual shares of 20 topics spread like a beta of this strength: at a mean of 0.2 a standard deviation of 0.13.
        8,
        gt=0,
        description="Weight, in stories, of the share over all topics beside the topic's own past.",
    )
    season_cells: int = Field(
        3, ge=1, description="The same hour of the week, or else of the day, counts once it was seen so many times."
    )
    season_stories: float = Field(
        100, gt=0, description="Weight, in stories, of the topic's whole past beside the same hour."
    )
    prior_dispersion: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="Correlation between the stories of one window that is assumed while few windows were seen.",
    )
    prior_dispersion_windows: float = Field(
        10, gt=0, description="How many past windows of many stories that prior correlation is worth."
    )
    adapt_days: float = Field(
        14, gt=0, description="An alert that lasts longer stops keeping its time out of the topic's past."
    )


class DriftSettings(BaseModel):
    """The judge of slow change: a CUSUM over the standardised shares of neighbouring windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: str = Field("24h", description="Neighbouring windows of this name are the observations; empty: no judge.")
    min_stories: int = Field(10, ge=1, description="A window with fewer stories is joined to the next one.")
    min_history_windows: int = Field(
        # An error of the mean adds up in every window that follows, so the mean must be known well.
        14,
        ge=1,
        description="A topic is judged once its past holds so many windows.",
    )
    slack: float = Field(
        0.5, gt=0, description="CUSUM allowance k: standard deviations that a window may lie high without adding up."
    )
    limit: float = Field(
        # Siegmund's approximation: one false alarm of a topic in 19,000 observations at slack 0.5.
        8.0,
        gt=0,
        description="CUSUM threshold h, in standard deviations: drift is an alert from it on, and ends at half of it.",
    )
    cap: float = Field(
        3.0, gt=0, description="One window adds at most this much: a burst is the spike judge's, not drift."
    )
    patience: int = Field(7, ge=1, description="An alert ends after so many windows in a row without enough stories.")


DEFAULT_WINDOWS = {
    # Each three to seven times as long as the one before: whatever a topic's volume, one of them holds some tens of
    # stories soon after an event began.
    "5m": WindowSettings(minutes=5, step_minutes=1, min_stories=20),
    "15m": WindowSettings(minutes=15, step_minutes=1, min_stories=20),
    "1h": WindowSettings(minutes=60, step_minutes=5, min_stories=15),
    "6h": WindowSettings(minutes=6 * 60, step_minutes=30, min_stories=12),
    "24h": WindowSettings(minutes=24 * 60, step_minutes=60, min_stories=12),
    "7d": WindowSettings(minutes=7 * 24 * 60, step_minutes=6 * 60, min_stories=10),
}


class AlertSettings(BaseModel):
    """Which windows are judged, how strict the judge is, and when an alert begins and ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: Mapping[str, WindowSettings] = Field(DEFAULT_WINDOWS, min_length=1, description="The windows by name.")
    lift: float = Field(1.5, gt=1, description="How far above usual the lower bound must lie; see `detector.raised`.")
    critical_lift: float = Field(2.5, gt=1, description="How far above usual for a critical alert.")
    resolve_lift: float = Field(
        1.0, ge=1, description="An alert holds while the lower bound lies above usual by this; 1.0: above usual itself."
    )
    least_usual_share: float = Field(
        0.1, ge=0, lt=1, description="A topic that is usually less negative is held to the bars of one at this share."
    )
    z: float = Field(1.645, gt=0, description="Quantile of the lower bound: 1.645 is 95 % confidence on one side.")
    false_alerts_per_topic_year: float = Field(
        0.3,
        gt=0,
        description="Of chance alone: a window's alpha is this times its length in years, within 1e-5 and 0.01.",
    )
    fire_after: int = Field(2, ge=1, description="Evaluations of a window in a row that must fire to begin an alert.")
    resolve_after: int = Field(3, ge=1, description="Evaluations in a row below the lower bar that end an alert.")
    warm_up_seconds: float = Field(
        20.0,
        ge=0,
        description="A live stream that was never judged is given this long to read the past that its sources list.",
    )
    evidence: int = Field(5, ge=0, le=50, description="Headlines on an alert, most negative first.")
    baseline: BaselineSettings = Field(BaselineSettings(), description="What is usual for a topic.")
    drift: DriftSettings = Field(DriftSettings(), description="The judge of slow change.")

    @model_validator(mode="after")
    def _drift_window_exists(self) -> Self:
        if self.drift.window and self.drift.window not in self.windows:
            known = ", ".join(self.windows)
            raise ValueError(f'drift.window = "{self.drift.window}" is none of the windows ({known})')
        return self

    @model_validator(mode="after")
    def _bars_stand_in_order(self) -> Self:
        bars = ("resolve_lift", self.resolve_lift), ("lift", self.lift), ("critical_lift", self.critical_lift)
        for (low, below), (high, above) in pairwise(bars):
            if below > above:
                raise ValueError(f"{low} = {below:g} is above {high} = {above:g}: no bar stands below a lower one")
        return self

    def alpha(self, window: WindowSettings) -> float:
        """Highest probability of a chance result that may fire in this window, from 1e-5 to 1 %.

        Further out the tail says more of the beta's shape than of the news.
        """
        return min(0.01, max(1e-5, self.false_alerts_per_topic_year * window.minutes / MINUTES_PER_YEAR))
