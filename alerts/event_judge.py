"""What the judges of one topic have in common: one alert at a time, and alerts of another run that happen again."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from alerts import episode
from alerts.episode import Episode
from alerts.lane import Lane
from alerts.told import Told
from stream.records import Alert
from stream.windows import WindowTable, minute_of


class EventJudge(ABC):
    """Watches one topic for one kind of event. At each moment `begin`, `observe` and `go_on` are called in this order.

    After a restart, at moments that an earlier run judged, `relive` takes the place of `begin` and `go_on`: the alerts
    that were published then stand as they were, while `observe` rebuilds the state. Alerts published for later moments
    are taken over by `adopt` when these come, so that each published alert gets its end too.
    """

    name: str

    def __init__(self, topic: str, lanes: Mapping[str, Lane], told: Told) -> None:
        self.topic = topic
        self.lanes = lanes
        """In order of their length."""
        self.told = told
        self.standing: Episode | None = None
        self._past: deque[Alert] = deque()

    @abstractmethod
    def begin(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:
        """Tells of an event that these evaluations at `t` alone show to begin."""

    @abstractmethod
    def observe(self, t: int, evaluated: list[Lane]) -> None:
        """Takes note of the evaluations, whatever is told."""

    @abstractmethod
    def go_on(self, table: WindowTable, t: int, evaluated: list[Lane]) -> Iterator[Alert]:
        """Tells of what changes, ends, or begins after what was observed."""

    @abstractmethod
    def watches(self, lane: Lane) -> bool:
        """Whether a standing alert waits for the evaluations of this lane, whatever it holds."""

    def resume(self, alerts: Iterable[Alert]) -> None:
        """Takes the alerts of another run."""
        self._past.extend(sorted(alerts, key=lambda alert: alert.started_at))

    @property
    def awaited(self) -> int | None:
        """The minute at which the next alert of another run begins."""
        return minute_of(self._past[0].started_at) if self._past else None

    def stands(self, decided: int | None) -> Alert | None:
        """The alert that stands, as it was last told, where this run has decided all moments up to `decided`.

        `decided` is in minutes since the epoch, None before the first. An alert of another run stands until this one
        comes to its start: a restart must not look like its end, and from there on this run says whether it stands.
        """
        # The stored record of an alert that is lived again may say "resolved" already: then it does not stand.
        if self.standing is not None and self.standing.alert.state == "firing":
            return self.standing.alert
        ahead = (a for a in self._past if decided is None or decided < minute_of(a.started_at))
        return next((alert for alert in ahead if alert.state == "firing"), None)

    def relive_begin(self, table: WindowTable, t: int) -> None:
        """Lets an alert of another run begin that had begun by `t`."""
        if self.standing is None and self._past and minute_of(self._past[0].started_at) <= t:
            alert = self._past.popleft()
            self.started(alert, self.lanes.get(alert.window) or next(iter(self.lanes.values())), table, t)

    def relive_end(self, table: WindowTable, t: int) -> None:
        """Lets it end that had ended by `t`, and those between."""
        while self.standing is not None:
            ended_at = self.standing.alert.ended_at
            if ended_at is None or minute_of(ended_at) > t:
                break
            self.ended(self.standing.alert, minute_of(ended_at))
            self.relive_begin(table, t)

    def adopt(self, table: WindowTable, t: int) -> Iterator[Alert]:
        """Lets an alert of another run stand that began by `t`; where one stands already, tells that the other ended.

        This run may judge that moment otherwise, since documents came in between, or another service told of the same
        event a moment later.
        """
        self.relive_begin(table, t)
        while self._past and minute_of(self._past[0].started_at) <= t:
            alert = self._past.popleft()
            if alert.state == "firing":
                yield episode.withdrawn(alert, "the event was told twice, and the other alert goes on", t)

    def started(self, alert: Alert, lane: Lane, table: WindowTable, t: int) -> None:  # noqa: ARG002
        """From now on the alert stands; `t` is now, the alert may have begun before."""
        self.standing = Episode.of(alert, lane)
        self.told.begin(self.name, self.standing.started - lane.length, self.standing.started)

    def ended(self, alert: Alert, t: int) -> None:
        """From now on it does not."""
        assert self.standing is not None
        self.standing.tell(alert)
        self.standing = None
        self.told.end(self.name, t)
