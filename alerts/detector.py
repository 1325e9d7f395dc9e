"""Is this window a spike? A pure function of its counts, the topic's baseline and the policy: DESIGN.md, section 6."""

from dataclasses import dataclass
from functools import cached_property
from math import exp, lgamma, sqrt
from statistics import NormalDist

from alerts.baseline import Baseline
from alerts.settings import AlertSettings, WindowSettings
from alerts.words import length, rarity
from stream.records import Severity
from stream.windows import Counts


def wilson_lower(negative: int, stories: int, z: float) -> float:
    """Lower end of the score interval of Wilson (1927) for the share `negative / stories`; 0 where there is none."""
    if stories == 0:
        return 0.0
    share = negative / stories
    centre = share + z * z / (2 * stories)
    margin = z * sqrt(share * (1 - share) / stories + z * z / (4 * stories * stories))
    return max(0.0, (centre - margin) / (1 + z * z / stories))


def wilson_upper(negative: int, stories: int, z: float) -> float:
    """The upper end of the same interval; 1 where there are no stories."""
    return 1 - wilson_lower(stories - negative, stories, z)


def tail(negative: int, stories: int, baseline: Baseline) -> float:
    """P(K >= negative) of `stories` under the baseline: the upper tail of the beta-binomial distribution.

    Sums the terms upwards from the first by their ratio, so that a tail of 1e-30 keeps its digits, which one minus a
    distribution function would lose.
    """
    if negative <= 0:
        return 1.0
    a, b = baseline.alpha, baseline.beta
    term = exp(
        lgamma(stories + 1)
        - lgamma(negative + 1)
        - lgamma(stories - negative + 1)
        + _log_beta(negative + a, stories - negative + b)
        - _log_beta(a, b)
    )
    total = 0.0
    for k in range(negative, stories + 1):
        total += term
        if term < total * 1e-12:
            break
        if k < stories:
            term *= (stories - k) / (k + 1) * (a + k) / (b + stories - k - 1)
    return min(total, 1.0)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def raised(mean: float, lift: float) -> float:
    """The share that lies above a usual one by `lift`: the negative part grown by it, or the rest shrunk by it.

    The lower of the two, so that a topic of which 75 % is usually negative can still stand out.
    """
    return min(mean * lift, 1 - (1 - mean) / lift)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the detector says of one topic in one window, with every number that it rests on."""

    topic: str
    window: str
    length: int
    """Minutes."""
    at: int
    """End of the window, in minutes since the epoch; the window is [at - length, at)."""
    documents: int
    stories: int
    negative: int
    share: float
    lower_bound: float
    z: float
    """Quantile of the lower bound."""
    baseline: Baseline
    bar: float
    """What the lower bound must exceed."""
    chance: float | None
    """Probability of so many negative stories or more in a calm window; None where the bound is below the bar."""
    alpha: float
    judged: bool
    """There were enough stories in the window and in the past."""
    fires: bool
    holds: bool
    """The lower bound lies above usual: an alert that stands is kept by this lower bar."""
    severity: Severity

    @cached_property
    def reason(self) -> str:
        """One sentence for a person who was just woken."""
        stories = f"{self.negative} of {self.stories} stories in the last {length(self.length)} are negative"
        sure = f"{self.share:.0%}, at least {self.lower_bound:.0%} with {NormalDist().cdf(self.z):.0%} confidence"
        usual = f"usual is {self.baseline.mean:.0%}"
        if self.baseline.season:
            usual += f" at this hour of the {self.baseline.season}"
        return f"{self.topic}: {stories} ({sure}); {usual}{self._rarity()}."

    def _rarity(self) -> str:
        if not self.judged:
            return ", too little to judge"
        if self.chance is None:
            return ""
        return f", and chance alone does this in {rarity(self.chance)} windows"


def detect(
    topic: str, name: str, at: int, counts: Counts, baseline: Baseline, settings: AlertSettings, window: WindowSettings
) -> Verdict:
    """The verdict on the window `name` of `topic` that ends at the minute `at`."""
    stories, negative = counts.stories, counts.negative_stories
    lower = wilson_lower(negative, stories, settings.z)
    usual = max(baseline.mean, settings.least_usual_share)
    bar = raised(usual, settings.lift)
    judged = stories >= window.min_stories and baseline.stories >= settings.baseline.min_history_stories
    alpha = settings.alpha(window)
    chance = tail(negative, stories, baseline) if judged and lower > bar else None
    return Verdict(
        topic=topic,
        window=name,
        length=window.minutes,
        at=at,
        documents=counts.documents,
        stories=stories,
        negative=negative,
        share=counts.share,
        lower_bound=lower,
        z=settings.z,
        baseline=baseline,
        bar=bar,
        chance=chance,
        alpha=alpha,
        judged=judged,
        fires=chance is not None and chance < alpha,
        # No lowest number of stories here: with few of them the bound comes down by itself.
        holds=lower > raised(usual, settings.resolve_lift),
        severity="critical" if lower > raised(usual, settings.critical_lift) else "warning",
    )


def still_high(counts: Counts, baseline: Baseline, settings: AlertSettings) -> bool | None:
    """Whether these stories, the newest part of a window, keep an alert up; None where they do not say.

    They do where their lower bound lies above usual, and do not where their upper bound lies below what would fire.
    """
    usual = max(baseline.mean, settings.least_usual_share)
    if wilson_lower(counts.negative_stories, counts.stories, settings.z) > raised(usual, settings.resolve_lift):
        return True
    if wilson_upper(counts.negative_stories, counts.stories, settings.z) < raised(usual, settings.lift):
        return False
    return None
