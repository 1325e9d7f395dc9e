"""One alert from its beginning to its end, as the records that tell of it. Pure."""

from dataclasses import dataclass
from hashlib import blake2b

from msgspec.structs import replace

from alerts.detector import Verdict, wilson_lower
from alerts.drift import Cusum
from alerts.lane import Lane
from alerts.words import duration, rarity
from alerts.words import length as spoken
from stream.records import Alert, Evidence, Severity
from stream.windows import minute_of, moment_of

SPIKE = "spike"
DRIFT = "drift"


def alert_id(topic: str, judge: str, started: int) -> str:
    """32 hex digits that every alert service finds for the same event."""
    name = f"{topic}|{judge}|{moment_of(started):%Y-%m-%dT%H:%MZ}"
    return blake2b(name.encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class Episode:
    """An alert that stands, or stood."""

    alert: Alert
    """As it was last told."""
    lane: Lane
    """The window that decided."""
    started: int
    told: int
    """When it was last told."""
    holders: set[str]
    """Windows that fired since it began: it ends when none of them holds any more."""
    calm: int = 0
    """Evaluations in a row in which none held."""

    @classmethod
    def of(cls, alert: Alert, lane: Lane) -> "Episode":
        """The alert as its record has it."""
        return cls(alert, lane, minute_of(alert.started_at), minute_of(alert.evaluated_at), {lane.name})

    def tell(self, alert: Alert) -> Alert:
        """Notes that this is told now."""
        self.alert, self.told = alert, minute_of(alert.evaluated_at)
        return alert


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


def goes_on(alert: Alert, now: Alert) -> Alert:
    """The alert with the numbers of `now`; its severity may rise and never falls, so that nobody is paged twice."""
    severity: Severity = "critical" if "critical" in (alert.severity, now.severity) else "warning"
    return replace(now, id=alert.id, started_at=alert.started_at, severity=severity, final=alert.final)


def ended(alert: Alert, verdict: Verdict, t: int) -> Alert:
    """The alert at its end, `t`: the numbers of the calm, and in the reason those of the alert."""
    lasted = duration(max(1, t - minute_of(alert.started_at)))
    window = f"in the last {spoken(verdict.length)}"
    now = f"{verdict.negative} of {verdict.stories} stories {window} are negative ({verdict.share:.0%})"
    if not verdict.stories:
        now = f"no stories {window}"
    usual = f"usual is {verdict.baseline.mean:.0%}"
    why = "" if verdict.judged else " for want of stories"
    return replace(
        alert,
        state="resolved",
        evaluated_at=moment_of(t),
        ended_at=moment_of(t),
        negative_stories=verdict.negative,
        stories=verdict.stories,
        documents=verdict.documents,
        share=verdict.share,
        baseline=verdict.baseline.mean,
        lower_bound=verdict.lower_bound,
        reason=f"{alert.topic}: over after {lasted}{why}; {now}, {usual}. It was: {alert.reason}",
    )


def withdrawn(alert: Alert, why: str, t: int) -> Alert:
    """The alert at an end that no verdict brought, `t`: the numbers are those that were told last."""
    at = moment_of(t)
    reason = f"{alert.topic}: over, for {why}. It was: {alert.reason}"
    return replace(alert, state="resolved", evaluated_at=at, ended_at=at, reason=reason)


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
        f" {duration(t - cusum.since)} are negative ({run.share:.0%}, at least {lower:.0%}); usual is {mean:.0%}."
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
