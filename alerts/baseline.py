"""What share of a topic's stories is usually negative: a beta distribution fitted to its own past. Pure.

The past is cut into neighbouring windows of the judged length. Of each only whole numbers are kept, summed, so adding
a window and dropping an old one are a few additions, and no order of adding changes a digit.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from alerts.settings import BaselineSettings

WEEK = 7 * 24 * 60
DAY = 24 * 60
HOUR = 60


class Moments(NamedTuple):
    """Sums over past windows of n stories, k of them negative: all that a fit by moments needs."""

    windows: int = 0
    stories: int = 0
    negative: int = 0
    pairs: int = 0
    """n (n - 1): ordered pairs of stories of one window."""
    negative_pairs: int = 0
    """k (k - 1)."""

    @classmethod
    def of(cls, stories: int, negative: int) -> "Moments":
        return cls(1, stories, negative, stories * (stories - 1), negative * (negative - 1))

    def plus(self, other: "Moments") -> "Moments":
        return Moments(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: "Moments") -> "Moments":
        return Moments(*(a - b for a, b in zip(self, other, strict=True)))


NOTHING = Moments()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The share to expect, as Beta(mean * strength, (1 - mean) * strength)."""

    mean: float
    strength: float
    stories: int
    """Stories of the topic's own past that it rests on."""
    seasonal: bool = False
    """The same hour of earlier weeks counts in it."""

    @property
    def alpha(self) -> float:
        return self.mean * self.strength

    @property
    def beta(self) -> float:
        return (1 - self.mean) * self.strength


def fit(own: Moments, season: Moments | None, overall: Moments, settings: BaselineSettings) -> Baseline:
    """The baseline from a topic's past, the part of it at the same hour of the week, and the past of all topics.

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
        knowledge = effective_stories(season, dispersion) + weight
        mean = _pull_share(season, dispersion, weight, mean)
    spread = dispersion + (1 - dispersion) / (knowledge + 1)
    return Baseline(mean, 1 / spread - 1, own.stories, season is not None)


def dispersion_of(past: Moments, settings: BaselineSettings) -> float:
    """The intraclass correlation of the stories of one window, 0 to 0.5.

    By factorial moments, as Skellam (1948) fits the beta-binomial: K(K-1) has the mean n(n-1)(m² + rho m(1-m)); pairs
    of all windows pooled, as the pairwise estimator in Ridout, Demétrio and Firth (1999), "Estimating intraclass
    correlation for binary data". Pulled to `prior_dispersion` while windows are few.
    """
    weight = settings.prior_dispersion_windows
    if past.pairs == 0 or past.negative in (0, past.stories):
        found = 0.0
    else:
        mean = past.negative / past.stories
        found = (past.negative_pairs / past.pairs - mean * mean) / (mean * (1 - mean))
    pulled = (past.windows * max(found, 0.0) + weight * settings.prior_dispersion) / (past.windows + weight)
    return min(pulled, 0.5)


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
    slot: int
    moments: Moments


class History:
    """A topic's past windows of one length, the last `history_days` of calm; memory is bounded by hours, not windows.

    `calm` is a clock that stands still during alerts, so a long alert does not make the past before it expire.
    """

    def __init__(self, length: int, settings: BaselineSettings) -> None:
        self.total = NOTHING
        self._length = length
        self._cell = max(length, HOUR)
        self._horizon = int(settings.history_days * DAY)
        self._season_weeks = settings.season_weeks
        self._cells: deque[_Cell] = deque()
        self._slots: dict[int, tuple[int, Moments]] = {}  # hour of week -> (cells, sums)

    def add(self, start: int, calm: int, stories: int, negative: int) -> None:
        """Takes the window [start, start + length); windows come in order of time."""
        moments = Moments.of(stories, negative)
        place = start - start % self._cell if self._length < HOUR else start
        if self._cells and self._cells[-1].start == place:
            cell = self._cells[-1]
            cell.moments = cell.moments.plus(moments)
            new = 0
        else:
            cell = _Cell(place, calm, self._slot(place), moments)
            self._cells.append(cell)
            new = 1
        self.total = self.total.plus(moments)
        cells, sums = self._slots.get(cell.slot, (0, NOTHING))
        self._slots[cell.slot] = (cells + new, sums.plus(moments))
        while self._cells[0].calm < calm - self._horizon:
            self._expire(self._cells.popleft())

    def season(self, start: int) -> Moments | None:
        """The part of the past at the hour of the week of the window that begins at `start`, where there is enough.

        A window of a day or more has every hour in it: it has no season.
        """
        if self._length >= DAY:
            return None
        cells, sums = self._slots.get(self._slot(start + self._length // 2), (0, NOTHING))
        return sums if cells >= self._season_weeks else None

    def _slot(self, minute: int) -> int:
        return minute % WEEK // self._cell

    def _expire(self, cell: _Cell) -> None:
        self.total = self.total.minus(cell.moments)
        cells, sums = self._slots[cell.slot]
        if cells == 1:
            del self._slots[cell.slot]
        else:
            self._slots[cell.slot] = (cells - 1, sums.minus(cell.moments))
