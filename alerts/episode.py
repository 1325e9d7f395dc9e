"""One alert from its beginning to its end, as the records that tell of it. Pure."""

from dataclasses import dataclass, field
from hashlib import blake2b

from msgspec.structs import replace

from alerts.detector import Verdict, rarity, spoken, wilson_lower
from alerts.drift import Cusum
from alerts.lane import Lane
from stream.records import Alert, Evidence
from stream.windows import Counts, minute_of, moment_of

SPIKE = "spike"
DRIFT = "drift"


def alert_id(topic: str, judge: str, started: int) -> str:
    """32 hex digits that every alert service finds for the same event."""
    name = f"{topic}|{judge}|{moment_of(started):%Y-%m-%dT%H:%MZ}"
    return blake2b(name.encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class Episode:
    """An alert that stands."""

    alert: Alert
    """As it was last told."""
    lane: Lane
    """The window that decided."""
    started: int
    holders: set[str] = field(default_factory=set)
    """Windows that fired since it began: it ends when none of them holds any more."""
    calm: int = 0
    """Evaluations in a row in which none held."""
    told: int = 0
    """When it was last told."""

    @classmethod
    def resumed(cls, alert: Alert, lane: Lane) -> "Episode":
        """The alert as the topic has it."""
        started = minute_of(alert.started_at)
        return cls(alert, lane, started, {lane.name}, told=minute_of(alert.evaluated_at))


def spike(verdict: Verdict, evidence: tuple[Evidence, ...]) -> Alert:
    """The record of a spike that begins with this verdict."""
    return Alert(
        id=alert_id(verdict.topic, SPIKE, verdict.at),
        topic=verdict.topic,
        judge=SPIKE,
        state="firing",
        severity=verdict.severity,
        window=verdict.window,
        started_at=moment_of(verdict.at),
        evaluated_at=moment_of(verdict.at),
        negative_stories=verdict.negative,
        stories=verdict.stories,
        documents=verdict.documents,
        share=verdict.share,
        baseline=verdict.baseline.mean,
        lower_bound=verdict.lower_bound,
        reason=verdict.reason,
        evidence=evidence,
    )


def spike_goes_on(alert: Alert, verdict: Verdict, evidence: tuple[Evidence, ...]) -> Alert:
    """The alert with the numbers of now; its severity may rise and never falls, so that nobody is paged twice."""
    now = spike(verdict, evidence)
    severity = "critical" if "critical" in (alert.severity, verdict.severity) else "warning"
    return replace(now, id=alert.id, started_at=alert.started_at, severity=severity, final=alert.final)


def ended(alert: Alert, t: int, counts: Counts, mean: float, length: int, z: float) -> Alert:
    """The alert at its end: the numbers of the calm, and in the reason those of the alert."""
    lasted = spoken(max(1, t - minute_of(alert.started_at)))
    now = (
        f"{counts.negative_stories} of {counts.stories} stories in the last {spoken(length)} are negative"
        f" ({counts.share:.0%})"
        if counts.stories
        else f"no stories in the last {spoken(length)}"
    )
    reason = f"{alert.topic}: over after {lasted}; {now}, usual is {mean:.0%}. It was: {alert.reason}"
    return replace(
        alert,
        state="resolved",
        evaluated_at=moment_of(t),
        ended_at=moment_of(t),
        negative_stories=counts.negative_stories,
        stories=counts.stories,
        documents=counts.documents,
        share=counts.share,
        baseline=mean,
        lower_bound=wilson_lower(counts.negative_stories, counts.stories, z),
        reason=reason,
    )


def finally_judged(verdict: Verdict) -> str:
    """What the verdict at the start became once its minutes were closed."""
    word = "confirmed" if verdict.fires else "not confirmed"
    chance = f", chance {rarity(verdict.chance)}" if verdict.chance is not None else ""
    return f"{word}: {verdict.negative} of {verdict.stories} stories negative ({verdict.share:.0%}){chance}"


def drift(topic: str, lane: Lane, t: int, cusum: Cusum, mean: float, z: float, evidence: tuple[Evidence, ...]) -> Alert:
    """The record of a drift that is noticed at `t`, about all stories since the share began to rise."""
    run = cusum.run
    assert cusum.since is not None
    lower = wilson_lower(run.negative_stories, run.stories, z)
    reason = (
        f"{topic}: the negative share has crept up: {run.negative_stories} of {run.stories} stories in the last"
        f" {spoken(t - cusum.since)} are negative ({run.share:.0%}, at least {lower:.0%}); usual is {mean:.0%}."
    )
    return Alert(
        id=alert_id(topic, DRIFT, t),
        topic=topic,
        judge=DRIFT,
        state="firing",
        severity="warning",
        window=lane.name,
        started_at=moment_of(t),
        evaluated_at=moment_of(t),
        negative_stories=run.negative_stories,
        stories=run.stories,
        documents=run.documents,
        share=run.share,
        baseline=mean,
        lower_bound=lower,
        reason=reason,
        evidence=evidence,
    )


def drift_goes_on(alert: Alert, now: Alert) -> Alert:
    """The alert with the numbers of now."""
    return replace(now, id=alert.id, started_at=alert.started_at, final=alert.final)
