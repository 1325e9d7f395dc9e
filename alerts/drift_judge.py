"""When a slow drift of one topic begins, goes on and ends. Pure."""

from collections.abc import Iterator, Mapping

from alerts import episode
from alerts.baseline import Baseline
from alerts.drift import Cusum
from alerts.event_judge import EventJudge
from alerts.lane import Lane
from alerts.settings import AlertSettings
from alerts.told import Told
from stream.records import Alert
from stream.windows import WindowTable


class DriftJudge(EventJudge):
    """One drift at a time, from the neighbouring windows of one lane. The time of spikes is passed over."""

    name = episode.DRIFT

    def __init__(self, topic: str, lanes: Mapping[str, Lane], told: Told, settings: AlertSettings) -> None:
        super().__init__(topic, lanes, told)
        self._settings = settings.drift
        self._z = settings.z
        self._lane = lanes.get(settings.drift.window)
        self._cusum = Cusum()
        self._baseline: Baseline | None = None
        """Of the last observation; None where the last moment brought none."""

    def begin(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:  # noqa: ARG002
        yield from ()

    def observe(self, t: int, evaluated: list[Lane]) -> None:
        self._baseline = None
        lane = self._lane
        if lane is None or lane not in evaluated or t % lane.length:
            return
        start = t - lane.length
        unknown = lane.history.total.windows < self._settings.min_history_windows
        silent = not lane.counts.stories and self.standing is None
        if unknown or silent or self.told.overlaps(episode.SPIKE, start, t):
            return
        self._baseline = lane.baseline(t)
        self._cusum = self._cusum.after(start, lane.counts, self._baseline, self._settings)

    def go_on(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:  # noqa: ARG002
        lane, baseline, cusum = self._lane, self._baseline, self._cusum
        if lane is None and self.standing is not None:  # told by a run whose settings were others
            alert = episode.withdrawn(self.standing.alert, "the judge of drift is switched off", t)
            self.ended(alert, t)
            yield alert
        if lane is None or baseline is None:
            return
        if self.standing is not None and (
            cusum.level < self._settings.limit / 2 or cusum.waited >= self._settings.patience
        ):
            alert = episode.ended(self.standing.alert, lane.describe(table, t), t)
            self.ended(alert, t)
            yield alert
        elif self.standing is not None or cusum.level >= self._settings.limit:
            evidence = lane.sliding.evidence(table, t)
            now = episode.drift(self.topic, lane, t, cusum, baseline.mean, self._z, evidence)
            if self.standing is None:
                self.started(now, lane, table, t)
                yield now
            else:
                yield self.standing.tell(episode.goes_on(self.standing.alert, now))

    def watches(self, lane: Lane) -> bool:
        return self.standing is not None and lane is self._lane

    def ended(self, alert: Alert, t: int) -> None:
        """From now on the alert does not stand, and the sum begins anew."""
        super().ended(alert, t)
        self._cusum = Cusum()
