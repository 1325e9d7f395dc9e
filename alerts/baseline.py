"""What share of a topic's stories is usually negative: a beta distribution fitted to its own past. Pure.

The past is cut into neighbouring windows of the judged length. Of each only whole numbers are kept, summed, so adding
a window and dropping an old one are a few additions, and no order of adding changes a digit.
"""

from collections import deque
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from alerts.settings import BaselineSettings

WEEK = 7 * 24 * 60
DAY = 24 * 60
HOUR = 60
MILLION = 1_000_000
PERIODS = {"week": WEEK, "day": DAY}


class Moments(NamedTuple):
    """Sums over past windows of n stories, k of them negative: all that a fit by moments needs."""

    windows: int = 0
    stories: int = 0
    negative: int = 0
    pairs: int = 0
    """n (n - 1): ordered pairs of stories of one window."""
    mixed: int = 0
    """k (n - k) / n in millionths: how far the stories of one window differ from each other."""

    @classmethod
    def of(cls, stories: int, negative: int) -> "Moments":
        """Of one window with at least one story."""
        mixed = negative * (stories - negative) * MILLION // stories
        return cls(1, stories, negative, stories * (stories - 1), mixed)

    def plus(self, other: "Moments") -> "Moments":
        windows, stories, negative, pairs, mixed = self
        return Moments(windows + other[0], stories + other[1], negative + other[2], pairs + other[3], mixed + other[4])

    def negated(self) -> "Moments":
        """What `plus` takes away."""
        return Moments(*(-value for value in self))


NOTHING = Moments()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The share to expect, as Beta(mean * strength, (1 - mean) * strength)."""

    mean: float
    strength: float
    stories: int
    """Stories of the topic's own past that it rests on."""
    season: str = ""
    """`week` or `day` where the same hour of earlier ones counts in it."""

    @property
    def alpha(self) -> float:
        return self.mean * self.strength

    @property
    def beta(self) -> float:
        return (1 - self.mean) * self.strength

    def range(self, stories: int, z: float) -> tuple[float, float]:
        """Between which shares `stories` stories usually lie: `z` standard deviations of the beta-binomial around."""
        deviation = sqrt(self.mean * (1 - self.mean) * (1 + (stories - 1) / (self.strength + 1)) / stories)
        return max(0.0, self.mean - z * deviation), min(1.0, self.mean + z * deviation)


class Season(NamedTuple):
    """The part of the past at the same hour."""

    period: str
    """Of the `week` or the `day`."""
    moments: Moments


def fit(own: Moments, season: Season | None, overall: Moments, settings: BaselineSettings) -> Baseline:
    """The baseline from a topic's past, the part of it at the same hour, and the past of all topics.

    Each mean is pulled towards the wider one behind it as a posterior mean is towards its prior: the hour's towards the
    topic's, the topic's towards the overall, that towards `prior_share`. The strength holds both reasons why a calm
    window may lie off the mean: windows differ beyond chance (the dispersion), and the mean is itself an estimate.
    """
    overall_mean = _pull(overall.stories, overall.negative, settings.prior_stories, settings.prior_share)
    dispersion = dispersion_of(own, settings)
    knowledge = effective_stories(own, dispersion) + settings.overall_stories
    mean = _pull_share(own, dispersion, settings.overall_stories, overall_mean)
    if season is not None:
        weight = min(settings.season_stories, knowledge)
        knowledge = effective_stories(season.moments, dispersion) + weight
        mean = _pull_share(season.moments, dispersion, weight, mean)
    spread = dispersion + (1 - dispersion) / (knowledge + 1)
    return Baseline(mean, 1 / spread - 1, own.stories, season.period if season else "")


def dispersion_of(past: Moments, settings: BaselineSettings) -> float:
    """The intraclass correlation of the stories of one window, 0 to 0.5, pulled to the prior while windows are few.

    The estimator of Fleiss and Cuzick (1979), which Ridout, Demétrio and Firth (1999), "Estimating intraclass
    correlation for binary data", find among the best. A beta-binomial with this correlation has the strength
    1/rho - 1. (The pairwise estimator weighs windows by n², and is fooled where busy hours are calmer ones.)
    """
    if past.pairs == 0 or past.negative in (0, past.stories):
        found = 0.0
    else:
        mean = past.negative / past.stories
        found = 1 - past.mixed / MILLION / ((past.stories - past.windows) * mean * (1 - mean))
    seen, weight = _telling_windows(past, settings.prior_dispersion), settings.prior_dispersion_windows
    return min((seen * max(found, 0.0) + weight * settings.prior_dispersion) / (seen + weight), 0.5)


def _telling_windows(past: Moments, dispersion: float) -> float:
    """How many large windows would tell as much about how windows differ: two stories of a window say next to nothing.

    The estimate's variance is about 2 / pairs from chance within windows, and 2 rho² / windows from how few they are.
    """
    if past.pairs == 0:
        return 0.0
    return 1 / (1 / past.windows + 1 / (dispersion * dispersion * past.pairs))


def effective_stories(past: Moments, dispersion: float) -> float:
    """How many independent stories tell as much about the mean share as these correlated ones."""
    if past.stories == 0:
        return 0.0
    return past.stories * past.stories / (past.stories + dispersion * past.pairs)


def _pull(stories: float, negative: float, weight: float, towards: float) -> float:
    return (negative + weight * towards) / (stories + weight)


def _pull_share(past: Moments, dispersion: float, weight: float, towards: float) -> float:
    if past.stories == 0:
        return towards
    stories = effective_stories(past, dispersion)
    return _pull(stories, stories * past.negative / past.stories, weight, towards)


@dataclass(slots=True)
class _Cell:
    """Past windows that expire together: those of one hour, or a single longer one."""

    start: int
    calm: int
    moments: Moments


class History:
    """A topic's past windows of one length, the last `history_days` of calm; memory is bounded by hours, not windows.

    `calm` is a clock that stands still during alerts, so a long alert does not make the past before it expire.
    """

    def __init__(self, length: int, settings: BaselineSettings) -> None:
        self.total = NOTHING
        self._length = length
        self._cell = max(length, HOUR)
        self._horizon = max(HOUR, int(settings.history_days * DAY))  # windows of one hour expire together
        self._least = settings.season_cells
        self._cells: deque[_Cell] = deque()
        self._seasons: dict[tuple[str, int], tuple[int, Moments]] = {}  # (period, hour in it) -> (cells, sums)

    def add(self, start: int, calm: int, stories: int, negative: int) -> None:
        """Takes the window [start, start + length), which holds a story; windows come in order of time."""
        moments = Moments.of(stories, negative)
        place = start - start % self._cell if self._length < HOUR else start
        if self._cells and self._cells[-1].start == place:
            self._cells[-1].moments = self._cells[-1].moments.plus(moments)
            self._count(place, 0, moments)
        else:
            self._cells.append(_Cell(place, calm, moments))
            self._count(place, 1, moments)
        while self._cells[0].calm < calm - self._horizon:
            old = self._cells.popleft()
            self._count(old.start, -1, old.moments.negated())

    def season(self, start: int) -> Season | None:
        """The past at the hour of the week of the window that begins at `start`, or of the day, where it is enough.

        A window of a day or more has every hour in it: it has no season.
        """
        for period in PERIODS if self._length < DAY else ():
            cells, moments = self._seasons.get(self._slot(period, start + self._length // 2), (0, NOTHING))
            if cells >= self._least:
                return Season(period, moments)
        return None

    def _slot(self, period: str, minute: int) -> tuple[str, int]:
        return period, minute % PERIODS[period] // self._cell

    def _count(self, start: int, cells: int, moments: Moments) -> None:
        self.total = self.total.plus(moments)
        for period in PERIODS:
            slot = self._slot(period, start)
            known, sums = self._seasons.get(slot, (0, NOTHING))
            if known + cells:
                self._seasons[slot] = (known + cells, sums.plus(moments))
            else:
                del self._seasons[slot]
