"""The page as values: what stands on it, in which order. Pure; `/api/state` is this, and the templates draw it."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from dashboards.console.history import Point, Steps, steps_of, trail
from dashboards.console.settings import ConsoleSettings, minutes_in
from dashboards.console.state import TOPIC_HEADLINES, ConsoleState
from stream.records import Alert, Evidence, Severity
from stream.windows import Counts

TopicState = Literal["critical", "warning", "calm", "few", "silent"]
"""The severity of a firing topic; otherwise `few` with too few stories for a verdict, `silent` with none."""

RANK: dict[TopicState, int] = {"critical": 0, "warning": 1, "calm": 2, "few": 3, "silent": 4}
SEVERITIES: tuple[Severity, ...] = ("critical", "warning")

Link = Literal["connecting", "loading", "live", "lost"]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How the console and the broker stand."""

    state: Link = "connecting"
    since: datetime | None = None
    detail: str = ""
    """For a person: what is wrong, or how far loading has come."""


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """A headline as the page shows it. `url` is empty or http(s)."""

    title: str
    negative: float
    published_at: datetime
    source: str
    url: str
    topic: str = ""
    language: str = ""
    """By which its bundle was chosen; empty where it is unknown, or where there was nothing to choose."""
    foreign: str = ""
    """Its language, where that has no bundle and the number is therefore to be taken with care."""


class AlertCard(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as the page shows it."""

    id: str
    topic: str
    judge: str
    state: str
    severity: Severity
    window: str
    started_at: datetime
    ended_at: datetime | None
    evaluated_at: datetime
    minutes: int
    """How long it has lasted, in event time."""
    share: float
    baseline: float
    lower_bound: float
    negative_stories: int
    stories: int
    documents: int
    reason: str
    final: str
    headlines: tuple[Headline, ...]


class TopicRow(msgspec.Struct, frozen=True, kw_only=True):
    """One topic in the chosen window."""

    name: str
    slug: str
    """The name as an id in the page: letters, digits and hyphens."""
    state: TopicState
    documents: int
    stories: int
    negative_stories: int
    share: float | None
    """Negative stories among the stories; None where there are none."""
    baseline: float | None
    """What its past expects; known while an alert of the chosen window says so."""
    trail: tuple[Point, ...]


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the numbers can be believed."""

    connection: Connection
    reached: datetime | None
    last_counted: datetime | None
    counted: int
    late: int
    dead: int
    per_minute: float | None
    to_count: int
    """Documents that nobody has counted yet."""
    stalled_since: datetime | None
    """Since when documents wait and none is counted; None where it goes on, or nothing is to be done."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page but for the opened topic."""

    window: str
    windows: tuple[str, ...]
    reach: int
    """Minutes that the charts cover."""
    waiting: bool
    """No document has been counted yet."""
    firing: tuple[AlertCard, ...]
    resolved: tuple[AlertCard, ...]
    topics: tuple[TopicRow, ...]
    headlines: tuple[Headline, ...]
    pipeline: Pipeline


class TopicView(msgspec.Struct, frozen=True, kw_only=True):
    """An opened topic."""

    row: TopicRow
    window: str
    headlines: tuple[Headline, ...]
    """Of the window, most negative first."""
    alerts: tuple[AlertCard, ...]
    """Firing first, then the latest resolved."""


def build_view(
    state: ConsoleState, connection: Connection, window: str, settings: ConsoleSettings, now: datetime
) -> View:
    """The page for one window at clock time `now`. `window` is one of the settings'."""
    end = state.end(now)
    totals = state.totals()
    firing = firing_alerts(state)
    steps = _steps(state, end, window, settings)
    return View(
        window=window,
        windows=settings.windows,
        reach=steps.reach,
        waiting=end is None,
        firing=tuple(_card(alert, state.reached(now)) for alert in firing),
        resolved=tuple(_card(alert, None) for alert in _resolved(state.alerts.values())[: settings.resolved]),
        topics=() if end is None else _rows(state, firing, end, steps, window, settings),
        headlines=tuple(_headline(found.evidence, found.topic) for found in state.headlines.latest(settings.headlines)),
        pipeline=Pipeline(
            connection=connection,
            reached=state.reached(now),
            last_counted=state.last_counted,
            counted=totals.counted,
            late=totals.late,
            dead=totals.dead,
            per_minute=state.per_minute(now),
            to_count=state.to_count(),
            stalled_since=state.stalled_since(now),
        ),
    )


def build_topic_view(state: ConsoleState, view: View, topic: str, now: datetime) -> TopicView | None:
    """An opened topic of `view`; None where the view has no such topic."""
    row = next((row for row in view.topics if row.name == topic), None)
    end = state.end(now)
    if row is None or end is None:
        return None
    evidence = state.table.evidence(topic, end, minutes_in(view.window), TOPIC_HEADLINES)
    alerts = [alert for alert in state.alerts.values() if alert.topic == topic]
    firing = [_card(alert, state.reached(now)) for alert in alerts if alert.state == "firing"]
    return TopicView(
        row=row,
        window=view.window,
        headlines=tuple(_headline(item) for item in evidence),
        alerts=(*firing, *(_card(alert, None) for alert in _resolved(alerts)[:3])),
    )


def firing_alerts(state: ConsoleState) -> list[Alert]:
    """What fires, the most severe first, then the newest."""
    found = [alert for alert in state.alerts.values() if alert.state == "firing"]
    return sorted(found, key=lambda a: (SEVERITIES.index(a.severity), -a.started_at.timestamp(), a.topic, a.judge))


def web_address(url: str) -> str:
    """`url` where it is http or https, else nothing: headlines come from strangers."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.netloc else ""


def slug_of(topic: str) -> str:
    """The topic's name as an id in the page."""
    return re.sub(r"[^a-z0-9]+", "-", topic.casefold()).strip("-")


def _resolved(alerts: Iterable[Alert]) -> list[Alert]:
    found = [alert for alert in alerts if alert.state == "resolved"]
    return sorted(found, key=lambda a: (a.ended_at or a.evaluated_at, a.id), reverse=True)


def _steps(state: ConsoleState, end: int | None, window: str, settings: ConsoleSettings) -> Steps:
    span = state.table.span()
    age = max(1, end - span[0]) if span and end else None
    return steps_of(minutes_in(window), minutes_in(settings.history), age)


def _rows(
    state: ConsoleState, firing: list[Alert], end: int, steps: Steps, window: str, settings: ConsoleSettings
) -> tuple[TopicRow, ...]:
    length = minutes_in(window)
    alarms: dict[str, Alert] = {}
    for alert in firing:
        alarms.setdefault(alert.topic, alert)
    rows = []
    for topic in sorted({*state.table.topics(), *alarms}):
        counts = state.table.window(topic, end, length)
        alarm = alarms.get(topic)
        rows.append(
            TopicRow(
                name=topic,
                slug=slug_of(topic),
                state=alarm.severity if alarm else _calm_state(counts, settings.enough_stories),
                documents=counts.documents,
                stories=counts.stories,
                negative_stories=counts.negative_stories,
                share=counts.share if counts.stories else None,
                baseline=alarm.baseline if alarm and alarm.window == window else None,
                trail=tuple(trail(state.table, topic, end, length, steps)),
            )
        )
    return tuple(sorted(rows, key=lambda row: (RANK[row.state], -(row.share or 0.0), -row.stories, row.name)))


def _calm_state(counts: Counts, enough: int) -> TopicState:
    if not counts.stories:
        return "silent"
    return "calm" if counts.stories >= enough else "few"


def _card(alert: Alert, reached: datetime | None) -> AlertCard:
    until = alert.ended_at or max(alert.evaluated_at, reached or alert.evaluated_at)
    return AlertCard(
        id=alert.id,
        topic=alert.topic,
        judge=alert.judge,
        state=alert.state,
        severity=alert.severity,
        window=alert.window,
        started_at=alert.started_at,
        ended_at=alert.ended_at,
        evaluated_at=alert.evaluated_at,
        minutes=max(0, int((until - alert.started_at).total_seconds() // 60)),
        share=alert.share,
        baseline=alert.baseline,
        lower_bound=alert.lower_bound,
        negative_stories=alert.negative_stories,
        stories=alert.stories,
        documents=alert.documents,
        reason=alert.reason,
        final=alert.final,
        headlines=tuple(_headline(item) for item in alert.evidence),
    )


def _headline(item: Evidence, topic: str = "") -> Headline:
    return Headline(
        title=item.title,
        negative=item.negative,
        published_at=item.published_at,
        source=item.source,
        url=web_address(item.url),
        topic=topic,
        language=item.language,
        foreign=(item.language or "unknown language") if item.fallback else "",
    )
