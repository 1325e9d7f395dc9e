"""One topic in one judged window: what it holds now, what its past was, and when it must be looked at next."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from alerts.baseline import NOTHING as NO_PAST
from alerts.baseline import Baseline, History, Moments, fit
from alerts.detector import Verdict, detect, still_high
from alerts.settings import AlertSettings, WindowSettings
from alerts.sliding import Sliding
from stream.windows import NOTHING, Counts, WindowTable


class Pool:
    """The pasts of all topics in one judged window."""

    def __init__(self, name: str, window: WindowSettings) -> None:
        self.name = name
        self.window = window
        self.overall: Moments = NO_PAST


class Lane:
    """One topic in one window. Moments are minutes since the epoch, multiples of the window's step, ever later."""

    def __init__(self, topic: str, pool: Pool, settings: AlertSettings) -> None:
        self.topic = topic
        self.name = pool.name
        self.length = pool.window.minutes
        self.step = pool.window.step_minutes
        self.counts: Counts = NOTHING
        self.verdict: Verdict | None = None
        """Of the last evaluation; None where there were too few stories to decide anything."""
        self.streak = 0
        """Evaluations in a row that fired."""
        self.holds = False
        """Whether the last evaluation keeps up an alert that stands."""
        self.newest: Verdict | None = None
        """Of the shortest recent part of the window that decided `holds`; of the whole window where no part did."""
        self.sliding = Sliding(topic, self.length, self.step, evidence=settings.evidence)
        self.history = History(self.length, settings.baseline)
        self._pool = pool
        self._settings = settings

    def evaluate(self, table: WindowTable, t: int, *, watched: bool) -> None:
        """Judges the window that ends at `t`; with few stories only where a standing alert watches it."""
        self.counts = self.sliding.at(table, t)
        enough = watched or self.counts.stories >= self._pool.window.min_stories
        self.verdict = self.judge(t, self.counts, self.baseline(t)) if enough else None
        self.streak = self.streak + 1 if self.verdict is not None and self.verdict.fires else 0
        self.newest = self.verdict
        self.holds = self.verdict is not None and self._holds(table, t, self.verdict)

    def describe(self, table: WindowTable, t: int) -> Verdict:
        """The verdict at `t` however few stories there are, for people; changes nothing that is decided."""
        return self.judge(t, self.sliding.at(table, t), self.baseline(t))

    def _holds(self, table: WindowTable, t: int, verdict: Verdict) -> bool:
        """What the newest part of the window says that says anything, so that an event ends when it is over.

        Parts grow by doubling from one step; where none says, the whole window decides.
        """
        length = self.step
        while length < self.length:
            part = self.sliding.newest(table, t, length)
            if part.stories >= self._pool.window.min_stories:
                said = still_high(part, verdict.baseline, self._settings)
                if said is not None:
                    self.newest = replace(self.judge(t, part, verdict.baseline), length=length)
                    return said
            length *= 2
        return verdict.holds

    def judge(self, t: int, counts: Counts, baseline: Baseline) -> Verdict:
        """The detector's verdict on these counts."""
        return detect(self.topic, self.name, t, counts, baseline, self._settings, self._pool.window)

    def baseline(self, t: int) -> Baseline:
        """What the past before the window that ends at `t` lets one expect of it."""
        season = self.history.season(t - self.length)
        return fit(self.history.total, season, self._pool.overall, self._settings.baseline)

    def remember(self, start: int, calm: int, counts: Counts) -> None:
        """Adds the window that began at `start` to the past."""
        before = self.history.total
        self.history.add(start, calm, counts.stories, counts.negative_stories)
        self._pool.overall = self._pool.overall.plus(before.negated()).plus(self.history.total)

    def first_due(self, judged: int, minutes: Sequence[int], *, watched: bool) -> int | None:
        """The first moment after `judged` at which the window may hold something, or is `watched`.

        `minutes` are those of the topic's buckets in the table, sorted.
        """
        following = _following(judged, self.step)
        old = bisect_left(minutes, following - self.length) < bisect_left(minutes, judged)
        if watched or old or self.sliding.settled_total.documents:
            return following
        return self._next_bucket(judged, minutes)

    def next_due(self, t: int, minutes: Sequence[int], *, watched: bool) -> int | None:
        """The next moment after an evaluation at `t` that can decide anything; None where that needs a new bucket.

        A window with too few stories can only lose more until the next bucket; but where it ends a neighbouring
        window it is due, for the past.
        """
        following = _following(t, self.step)
        if watched or self.verdict is not None:
            return following
        bucket = self._next_bucket(t, minutes)
        if not self.counts.documents:
            return bucket
        block = _following(t, self.length)
        return block if bucket is None else min(bucket, block)

    def _next_bucket(self, t: int, minutes: Sequence[int]) -> int | None:
        place = bisect_left(minutes, t)
        return _following(minutes[place], self.step) if place < len(minutes) else None


def _following(t: int, step: int) -> int:
    return t // step * step + step
