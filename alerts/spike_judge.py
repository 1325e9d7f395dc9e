"""When a spike of one topic begins, goes on and ends: hysteresis over the verdicts of all its windows. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from alerts import episode
from alerts.episode import Episode
from alerts.event_judge import EventJudge
from alerts.lane import Lane
from alerts.settings import AlertSettings
from alerts.told import Told
from stream.records import Alert
from stream.windows import NOTHING, Counts, WindowTable

BRIDGED = 12
"""A window that fires during an alert keeps it up too if it is at most so many times as long as the one that decided:
long enough to bridge a silence, not so long that an hour's alert stands for a week. The ratio is that of the long to
the short window in chapter 5 of the Site Reliability Workbook."""


@dataclass(frozen=True, slots=True)
class Final:
    """The question what the verdict at the start of an alert will be once its minutes are closed."""

    due: int
    episode: Episode
    settled: Counts
    """What could no longer change at the start, of the window that fired."""
    unsettled_from: int


class SpikeJudge(EventJudge):
    """One spike at a time, whichever window fires.

    It begins when a window fired several times in a row, the shortest of them decides. It ends when for several
    evaluations neither that window nor one that fired since holds. A window that still contains stories of a finished
    spike begins no other: they have been told.
    """

    name = episode.SPIKE

    def __init__(
        self, topic: str, lanes: Mapping[str, Lane], told: Told, settings: AlertSettings, *, lateness: int
    ) -> None:
        super().__init__(topic, lanes, told)
        self.finals: list[Final] = []
        self._settings = settings
        self._lateness = lateness

    def begin(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:
        if self.standing is not None:
            return
        for lane in evaluated:
            if self._fires(lane) and not self.told.finished_after(self.name, t - lane.length):
                assert lane.verdict is not None
                alert = episode.spike(lane.verdict, lane.sliding.evidence(table, t))
                self.started(alert, lane, table, t)
                yield alert
                return

    def observe(self, t: int, evaluated: list[Lane]) -> None:  # noqa: ARG002
        spike = self.standing
        if spike is None:
            return
        for lane in evaluated:
            if self._fires(lane) and lane.length <= BRIDGED * spike.lane.length:
                spike.holders.add(lane.name)
        if any(lane.name in spike.holders for lane in evaluated):
            holds = any(self.lanes[name].holds for name in spike.holders)
            spike.calm = 0 if holds else spike.calm + 1

    def go_on(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:
        spike = self.standing
        if spike is None:
            return
        lane, settings = spike.lane, self._settings
        if spike.calm >= settings.resolve_after:
            # An alert that was adopted at this moment may have no verdict of its window yet, for want of stories.
            last = lane.newest or lane.describe(table, t // lane.step * lane.step)
            alert = episode.ended(spike.alert, last, t)
            self.ended(alert, t)
            yield alert
        elif lane in evaluated and lane.verdict is not None and lane.verdict.fires:
            rises = lane.verdict.severity == "critical" and spike.alert.severity != "critical"
            if rises or t - spike.told >= lane.length:
                now = episode.spike(lane.verdict, lane.sliding.evidence(table, t))
                yield spike.tell(episode.goes_on(spike.alert, now))

    def watches(self, lane: Lane) -> bool:
        return self.standing is not None and lane.name in self.standing.holders

    def started(self, alert: Alert, lane: Lane, table: WindowTable, t: int) -> None:
        """From now on the alert stands, and its final verdict is asked for."""
        super().started(alert, lane, table, t)
        assert self.standing is not None
        started = self.standing.started
        settled, since = NOTHING, started - lane.length
        if started == t:
            settled, since = lane.sliding.settled_total, lane.sliding.settled(t)
        self.finals.append(Final(started + self._lateness, self.standing, settled, since))

    def finalise(self, final: Final, table: WindowTable) -> Iterator[Alert]:
        """Tells of the final verdict, unless another run did."""
        self.finals.remove(final)
        standing = final.episode
        if standing.alert.final:
            return
        lane, started = standing.lane, standing.started
        counts = final.settled.plus(table.window(self.topic, started, started - final.unsettled_from))
        verdict = lane.judge(started, counts, lane.baseline(started))
        standing.alert = replace(standing.alert, final=episode.finally_judged(verdict))
        yield standing.alert

    def _fires(self, lane: Lane) -> bool:
        return lane.streak >= self._settings.fire_after
