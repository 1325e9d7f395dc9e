"""The judge: walks through event time, and tells of every alert that begins, changes or ends. Pure.

What it tells is a function of the buckets that were there when the watermark passed each moment: not of their order,
nor of the steps in which the watermark came.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush

from alerts.detector import Verdict
from alerts.lane import Lane, Pool
from alerts.settings import AlertSettings
from alerts.topic_judge import TopicJudge
from stream.records import Alert
from stream.windows import Counts, WindowTable, minute_of, moment_of


@dataclass(frozen=True, slots=True)
class _Ended:
    """A window that ended and waits to enter its topic's past.

    It enters its own length after its end, so that no window that is judged overlaps the past it is compared with.
    """

    end: int
    topic: str
    counts: Counts


class Judge:
    """Judges every moment of event time once, in order, as soon as the watermark of the whole reaches it.

    A moment of a window is a multiple of its step since the epoch; the window at t is [t - length, t). Stretches in
    which nothing can be decided are passed over, so a gap of years costs nothing. Give it the same `WindowTable` each
    time; minutes before `horizon` may be dropped from it.
    """

    def __init__(self, settings: AlertSettings, *, lateness_minutes: int) -> None:
        self.evaluations = 0
        """Windows judged so far."""
        self._settings = settings
        self._lateness = lateness_minutes
        windows = sorted(settings.windows.items(), key=lambda item: (item[1].minutes, item[0]))
        self._pools = {name: Pool(name, window) for name, window in windows}
        self._ended: dict[str, deque[_Ended]] = {name: deque() for name in self._pools}
        self._topics: dict[str, TopicJudge] = {}
        self._judged: int | None = None
        self._silent_until: int | None = None

    def resume(self, alerts: Iterable[Alert], judged: datetime | None) -> None:
        """Goes on after another run, which told these alerts (the last record of each) and had judged up to `judged`.

        Moments up to there are judged again, for the past and for what was about to begin or end, but what was told
        stays: nothing new is told about them. Without `judged` they end before the latest moment of an alert.
        """
        by_topic: dict[str, list[Alert]] = {}
        for alert in alerts:
            by_topic.setdefault(alert.topic, []).append(alert)
        for topic, told in by_topic.items():
            self._topic(topic).resume(told)
        if judged is not None:
            self._silent_until = minute_of(judged)
        elif by_topic:
            self._silent_until = max(minute_of(a.evaluated_at) for told in by_topic.values() for a in told) - 1

    @property
    def judged(self) -> datetime | None:
        """The moment up to which everything is judged; None before the first bucket."""
        return None if self._judged is None else moment_of(self._judged)

    @property
    def horizon(self) -> int:
        """Minutes before this one (since the epoch) are no longer needed from the table."""
        if self._judged is None:
            return -(2**62)
        needed = [lane.sliding.settled(_last(self._judged, lane.step)) for lane in self._lanes()]
        needed += [final.unsettled_from for topic in self._topics.values() for final in topic.spikes.finals]
        return min(needed, default=self._judged)

    def standing(self) -> list[Alert]:
        """The alerts that stand, as they were last told, in order of their topics; after `resume`, at once."""
        decided = self._judged if self._silent_until is None else None
        return [alert for _, topic in sorted(self._topics.items()) for alert in topic.standing(decided)]

    def verdicts(self, table: WindowTable, window: str | None = None) -> list[Verdict]:
        """Every topic at the last moment of `window` or of each, however few stories: for people, not for alerts."""
        if self._judged is None:
            return []
        for name, pool in self._pools.items():
            if window in (None, name):
                self._remember(pool, _last(self._judged, pool.window.step_minutes))
        lanes = (lane for lane in self._lanes() if window in (None, lane.name))
        return [lane.describe(table, _last(self._judged, lane.step)) for lane in lanes]

    def advance(self, table: WindowTable, watermark: datetime, closed: datetime | None = None) -> list[Alert]:
        """Judges all moments up to `watermark` that were not judged before; returns what there is to tell, in order.

        Records of one alert share its id; each replaces the one before. Minutes before `closed` no longer change in
        any partition; without it, those that are older than the watermark by more than the lateness.
        """
        until = minute_of(watermark)
        final = until - self._lateness if closed is None else minute_of(closed)
        if self._judged is None:
            span = table.span()
            if span is None or until <= span[0]:
                return []
            self._judged = span[0]
        silent = self._silent_until
        if silent is None:
            return list(self._walk(table, until, final))
        told = list(self._walk(table, min(until, silent), final))
        if until >= silent:
            for topic in self._topics.values():
                topic.relive(table, silent, [])
            self._silent_until = None
            told += self._walk(table, until, final)
        return told

    def _walk(self, table: WindowTable, until: int, closed: int) -> Iterator[Alert]:
        if self._judged is None or until <= self._judged:
            return
        schedule = self._schedule(table, self._judged)
        while (t := schedule.next_moment()) is not None and t <= until:
            yield from self._judge_moment(table, t, schedule)
        self._judged = until
        for lane in self._lanes():
            lane.sliding.settle(table, until, closed)

    def _schedule(self, table: WindowTable, judged: int) -> "_Schedule":
        schedule = _Schedule()
        for topic in table.topics():
            self._topic(topic)
        for topic, judge in self._topics.items():
            minutes = table.minutes(topic)
            for final in judge.spikes.finals:
                schedule.add(final.due, topic)
            self._await_told(schedule, topic, judged)
            for lane in judge.lanes.values():
                due = lane.first_due(judged, minutes, watched=judge.watches(lane))
                if due is not None:
                    schedule.add(due, topic, lane.name)
        return schedule

    def _judge_moment(self, table: WindowTable, t: int, schedule: "_Schedule") -> Iterator[Alert]:
        for pool in self._pools.values():
            self._remember(pool, t)
        for topic, windows in sorted(schedule.take(t).items()):
            judge = self._topics[topic]
            for final in [final for final in judge.spikes.finals if final.due <= t]:
                yield from judge.spikes.finalise(final, table)
            evaluated = [lane for lane in judge.lanes.values() if lane.name in windows]
            watched = {lane.name for lane in judge.lanes.values() if judge.watches(lane)}
            for lane in evaluated:
                lane.evaluate(table, t, watched=judge.watches(lane))
                self._note(lane, t)
            if self._silent_until is None:
                yield from judge.decide(table, t, evaluated)
            else:
                judge.relive(table, t, evaluated)
            for final in judge.spikes.finals:
                schedule.add(max(final.due, t + 1), topic)
            self._await_told(schedule, topic, t)
            for lane in judge.lanes.values():
                watches = judge.watches(lane)
                if lane.name not in windows and (lane.name in watched or not watches):
                    continue  # it is due already, or for nobody
                due = lane.next_due(t, table.minutes(topic), watched=watches)
                if due is not None:
                    schedule.add(due, topic, lane.name)

    def _await_told(self, schedule: "_Schedule", topic: str, judged: int) -> None:
        """What another run told is taken up at its start, whether or not a window is due then: it gets its end."""
        if self._silent_until is None:
            for start in self._topics[topic].awaited():
                schedule.add(max(start, judged + 1), topic)

    def _note(self, lane: Lane, t: int) -> None:
        self.evaluations += 1
        if t % lane.length == 0 and lane.counts.stories:
            self._ended[lane.name].append(_Ended(t, lane.topic, lane.counts))

    def _remember(self, pool: Pool, t: int) -> None:
        """Lets the windows that ended before the one that ends at `t` began into the past of their topics."""
        ended, length = self._ended[pool.name], pool.window.minutes
        while ended and ended[0].end + length <= t:
            past = ended.popleft()
            start, judge = past.end - length, self._topics[past.topic]
            if not judge.told.excludes(start, past.end):
                judge.lanes[pool.name].remember(start, judge.told.calm(start, past.end), past.counts)

    def _topic(self, topic: str) -> TopicJudge:
        judge = self._topics.get(topic)
        if judge is None:
            pools = self._pools.values()
            judge = self._topics[topic] = TopicJudge(topic, pools, self._settings, lateness=self._lateness)
        return judge

    def _lanes(self) -> Iterator[Lane]:
        for topic in self._topics.values():
            yield from topic.lanes.values()


class _Schedule:
    """Which windows of which topics are due at which moment, the next one first."""

    def __init__(self) -> None:
        self._moments: list[int] = []
        self._due: dict[int, dict[str, set[str]]] = {}

    def add(self, t: int, topic: str, window: str | None = None) -> None:
        """The topic is due at `t`, for this window or for a final verdict."""
        if t not in self._due:
            heappush(self._moments, t)
            self._due[t] = {}
        windows = self._due[t].setdefault(topic, set())
        if window is not None:
            windows.add(window)

    def next_moment(self) -> int | None:
        """The earliest moment at which something is due."""
        return self._moments[0] if self._moments else None

    def take(self, t: int) -> dict[str, set[str]]:
        """What is due at `t`, the earliest moment."""
        heappop(self._moments)
        return self._due.pop(t)


def _last(judged: int, step: int) -> int:
    """The last multiple of `step` up to `judged`."""
    return judged // step * step
