"""Has a share crept up without a spike? A one-sided CUSUM over standardised shares. Pure."""

from dataclasses import dataclass, replace
from math import sqrt

from alerts.baseline import Baseline
from alerts.settings import DriftSettings
from stream.windows import NOTHING, Counts


def standardised(stories: int, negative: int, baseline: Baseline) -> float:
    """How many standard deviations of the beta-binomial the window lies above its mean."""
    share_variance = baseline.mean * (1 - baseline.mean)
    dispersion = 1 / (baseline.strength + 1)
    variance = stories * share_variance * (1 + (stories - 1) * dispersion)
    return (negative - stories * baseline.mean) / sqrt(variance)


@dataclass(frozen=True, slots=True)
class Cusum:
    """The sum of what neighbouring windows exceeded the mean and the slack by (Page, 1954), never below 0."""

    level: float = 0.0
    run: Counts = NOTHING
    """What was counted since the level left 0: the stories that an alert speaks of."""
    since: int | None = None
    """Where that began, in minutes since the epoch."""
    waiting: Counts = NOTHING
    """Windows that were too small to count by themselves and are joined to the next one."""
    waited: int = 0
    """How many windows these are."""
    waiting_since: int | None = None
    """Where the first of them began."""

    def after(self, start: int, counts: Counts, baseline: Baseline, settings: DriftSettings) -> "Cusum":
        """The sum once the window that began at `start` has ended with these counts."""
        joined = self.waiting.plus(counts)
        began = start if self.waiting_since is None else self.waiting_since
        if joined.stories < settings.min_stories:
            return replace(self, waiting=joined, waited=self.waited + 1, waiting_since=began)
        score = min(standardised(joined.stories, joined.negative_stories, baseline), settings.cap)
        # A level far above the limit would take as long to come down as it took to rise.
        level = min(self.level + score - settings.slack, 1.5 * settings.limit)
        if level <= 0:
            return Cusum()
        since = began if self.since is None else self.since
        return Cusum(level, self.run.plus(joined), since)
