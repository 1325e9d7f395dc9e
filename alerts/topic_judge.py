"""One topic: its lanes, its judges, and the time that its alerts have spoken of. Pure."""

from collections.abc import Iterable, Iterator

from alerts.drift_judge import DriftJudge
from alerts.event_judge import EventJudge
from alerts.lane import Lane, Pool
from alerts.settings import AlertSettings
from alerts.spike_judge import SpikeJudge
from alerts.told import Told
from stream.records import Alert
from stream.windows import WindowTable

DAY = 24 * 60


class TopicJudge:
    """Shows each evaluated moment to the judges of the topic. `pools` are in order of the windows' lengths."""

    def __init__(self, topic: str, pools: Iterable[Pool], settings: AlertSettings, *, lateness: int) -> None:
        self.lanes = {pool.name: Lane(topic, pool, settings) for pool in pools}
        self.told = Told(int(settings.baseline.adapt_days * DAY))
        self.spikes = SpikeJudge(topic, self.lanes, self.told, settings, lateness=lateness)
        self.drifts = DriftJudge(topic, self.lanes, self.told, settings)
        self.judges: tuple[EventJudge, ...] = (self.spikes, self.drifts)

    def decide(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:
        """What there is to tell after these lanes were evaluated at the moment `t`."""
        for judge in self.judges:
            yield from judge.adopt(table, t)
            yield from judge.begin(table, t, evaluated)
            judge.observe(t, evaluated)
            judge.relive_end(table, t)  # of what was adopted: its end may have been told too
            yield from judge.go_on(table, t, evaluated)

    def relive(self, table: WindowTable, t: int, evaluated: list[Lane]) -> None:
        """The same for a moment at which another run decided: what it told happens again."""
        for judge in self.judges:
            judge.relive_begin(table, t)
            judge.observe(t, evaluated)
            judge.relive_end(table, t)

    def watches(self, lane: Lane) -> bool:
        """Whether a standing alert waits for the evaluations of this lane, whatever it holds."""
        return self.spikes.watches(lane) or self.drifts.watches(lane)

    def awaited(self) -> list[int]:
        """The minutes at which alerts of another run begin, of each judge the next one's."""
        return [judge.awaited for judge in self.judges if judge.awaited is not None]

    def resume(self, alerts: Iterable[Alert]) -> None:
        """Takes the alerts of another run."""
        told = list(alerts)
        for judge in self.judges:
            judge.resume(alert for alert in told if alert.judge == judge.name)

    def standing(self, decided: int | None) -> list[Alert]:
        """The alerts that stand, as they were last told, where this run has decided all moments up to `decided`."""
        stands = (judge.stands(decided) for judge in self.judges)
        return [alert for alert in stands if alert is not None]
