"""A week of made-up news with a bank run at its end, as the records that stand in `windows` and `alerts`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import pi, sin
from random import Random
from typing import NamedTuple
from zlib import crc32

import msgspec

from alerts.detector import wilson_lower
from stream.records import Alert, Bucket, Checkpoint, Evidence
from stream.windows import WindowTable, minute_of, moment_of

PARTITIONS = 4

USUAL: dict[str, tuple[float, float]] = {
    "Analyst Update": (0.16, 0.20),
    "Company | Product News": (0.55, 0.11),
    "Currencies": (0.10, 0.24),
    "Dividend": (0.05, 0.04),
    "Earnings": (0.30, 0.22),
    "Energy | Oil": (0.18, 0.29),
    "Fed | Central Banks": (0.28, 0.19),
    "Financials": (0.34, 0.15),
    "General News | Opinion": (0.60, 0.27),
    "Gold | Metals | Materials": (0.03, 0.21),
    "IPO": (0.02, 0.12),
    "Legal | Regulation": (0.20, 0.38),
    "M&A | Investments": (0.17, 0.07),
    "Macro": (0.33, 0.30),
    "Markets": (0.48, 0.34),
    "Personnel Change": (0.06, 0.13),
    "Politics": (0.30, 0.25),
    "Stock Commentary": (0.62, 0.23),
    "Stock Movement": (0.40, 0.46),
    "Treasuries | Corporate Debt": (0.08, 0.26),
}
"""Stories a minute and the usual negative share of each topic."""

SOURCES = (
    "Harbour Wire",
    "The Ledger",
    "Market Dispatch",
    "Northern Business Post",
    "tickerhive.example",
    "Bourse Daily",
)
BANKS = ("Calder & Finch Bank", "Meridian Trust", "Ostrava Savings", "First Lakeland", "Halvorsen Bank")
FIRMS = ("Arkwright Foods", "Nimbus Robotics", "Solane Energy", "Vantor Steel", "Pellucid", "Quill Media", "Tamsin Air")

CRISIS = (
    "Depositors queue outside {bank} branches for a second day",
    "{bank} shares halted after 38% plunge",
    "Regulator shuts down {bank} after run on deposits",
    "{bank} halts withdrawals above $5,000",
    "Clearing house raises margin on {bank} paper as contagion fears spread",
    "Rating agency cuts {bank} to junk, warns of further outflows",
    "{bank} seeks emergency liquidity as uninsured deposits flee",
    "Interbank lending seizes up after {bank} failure",
)
GLOOM = (
    "{firm} cuts full-year outlook on weak demand",
    "{firm} to lay off 1,200 as orders dry up",
    "{firm} shares slide after auditor resigns",
    "Investors sue {firm} over undisclosed losses",
    "{firm} misses estimates, suspends dividend",
    "{firm} recalls flagship product after safety reports",
)


class Story(NamedTuple):
    topic: str
    moment: datetime
    negative: bool
    title: str
    source: str


@dataclass(frozen=True)
class World:
    """A made-up world that ends at `end`, with a bank run over its last `crisis`."""

    end: datetime
    days: int = 8
    crisis: timedelta = timedelta(hours=2, minutes=10)
    seed: int = 20

    @property
    def started(self) -> datetime:
        return self.end - self.crisis

    def stories(self) -> Iterator[Story]:
        rng = Random(self.seed)
        for topic, (rate, share) in USUAL.items():
            moment = self.end - timedelta(days=self.days)
            while True:
                moment += timedelta(minutes=rng.expovariate(rate * _daily(moment)))
                if moment >= self.end:
                    break
                yield self._story(rng, topic, moment, share)
        yield from self._rush(rng)

    def _rush(self, rng: Random) -> Iterator[Story]:
        """The extra stories of the crisis: the more the later."""
        moment = self.started
        while True:
            progress = (moment - self.started) / self.crisis
            moment += timedelta(minutes=rng.expovariate(0.2 + 1.1 * progress))
            if moment >= self.end:
                return
            yield self._story(rng, "Financials", moment, 0.7 + 0.15 * progress)

    def _story(self, rng: Random, topic: str, moment: datetime, share: float) -> Story:
        negative = rng.random() < share
        troubled = topic == "Financials" and moment >= self.started
        template = rng.choice(CRISIS if troubled else GLOOM)
        title = template.format(bank=rng.choice(BANKS), firm=rng.choice(FIRMS))
        return Story(topic, moment, negative, title, rng.choice(SOURCES))

    def buckets(self) -> Iterator[Bucket]:
        """One bucket a topic, minute and partition."""
        rng = Random(self.seed)
        places: dict[tuple[str, int, int], list[Story]] = {}
        for story in self.stories():
            places.setdefault((story.topic, minute_of(story.moment), rng.randrange(PARTITIONS)), []).append(story)
        for (topic, minute, partition), stories in places.items():
            yield bucket(topic, minute, partition, stories)

    def checkpoints(self, behind: int = 0) -> list[Checkpoint]:
        """One of each partition, as they stand at the end, or some documents before it."""
        return [
            checkpoint(p, 9_000 + 37 * p - behind, self.end - timedelta(seconds=3 * p), dead=p // 3, late=2 * p)
            for p in range(PARTITIONS)
        ]

    def alerts(self, table: WindowTable) -> list[Alert]:
        """The bank run, firing, and two that are over."""
        run = self.alert(table, "Financials", "critical", self.started + timedelta(minutes=15), self.end, 0.15)
        oil = self.alert(table, "Energy | Oil", "warning", self.end - timedelta(hours=31), self.end, 0.29)
        law = self.alert(table, "Legal | Regulation", "warning", self.end - timedelta(days=4, hours=3), self.end, 0.38)
        return [
            run,
            over(replaced(oil, negative_stories=17, stories=26), timedelta(hours=1, minutes=25)),
            over(replaced(law, negative_stories=19, stories=24), timedelta(minutes=50)),
        ]

    def alert(
        self, table: WindowTable, topic: str, severity: str, started: datetime, at: datetime, usual: float
    ) -> Alert:
        """An alert with the numbers that the table has at `at`."""
        counts = table.window(topic, minute_of(at), 60)
        alert = Alert(
            id=f"{_hash(topic + str(started)):032x}",
            topic=topic,
            judge="spike",
            state="firing",
            severity="critical" if severity == "critical" else "warning",
            window="1h",
            started_at=started.replace(second=0, microsecond=0),
            evaluated_at=at,
            negative_stories=counts.negative_stories,
            stories=counts.stories,
            documents=counts.documents,
            share=counts.share,
            baseline=usual,
            lower_bound=wilson_lower(counts.negative_stories, counts.stories, 1.645),
            reason="",
            evidence=table.evidence(topic, minute_of(at), 60, 5),
        )
        return replaced(alert)


def replaced(alert: Alert, **numbers: int) -> Alert:
    """The alert with other counts, and the sentence that goes with them."""
    alert = msgspec.structs.replace(alert, **numbers)
    share = alert.negative_stories / max(1, alert.stories)
    lower = wilson_lower(alert.negative_stories, alert.stories, 1.645)
    reason = (
        f"{alert.topic}: {alert.negative_stories} of {alert.stories} stories in the last hour are negative"
        f" ({share:.0%}, at least {lower:.0%} with 95% confidence); usual is {alert.baseline:.0%},"
        " and chance alone does this in one in 4,000,000 windows."
    )
    return msgspec.structs.replace(alert, share=share, lower_bound=lower, reason=reason)


def over(alert: Alert, lasted: timedelta) -> Alert:
    """The alert, resolved after `lasted`."""
    ended = alert.started_at + lasted
    return msgspec.structs.replace(alert, state="resolved", ended_at=ended, evaluated_at=ended)


def bucket(topic: str, minute: int, partition: int, stories: list[Story], *, applied: int = 1) -> Bucket:
    """The bucket that counts `stories`."""
    negative = [story for story in stories if story.negative]
    evidence = [
        Evidence(
            id=f"{topic}-{story.moment.timestamp():.3f}",
            title=story.title,
            negative=0.80 + (_hash(story.title) % 19) / 100,
            published_at=story.moment,
            source=story.source,
            url=f"https://news.example/{_hash(story.title)}",
        )
        for story in negative
    ]
    return Bucket(
        topic=topic,
        minute=moment_of(minute),
        partition=partition,
        applied=applied,
        documents=len(stories) + len(negative) // 2,
        negative=len(negative) + len(negative) // 2,
        neutral=len(stories) - len(negative),
        stories=len(stories),
        negative_stories=len(negative),
        evidence=tuple(sorted(evidence, key=lambda item: -item.negative)[:5]),
    )


def checkpoint(partition: int, position: int, watermark: datetime, *, dead: int = 0, late: int = 0) -> Checkpoint:
    """A checkpoint whose totals make up its position."""
    return Checkpoint(
        partition=partition,
        position=position,
        origin=position - 1,
        watermark=watermark,
        caught_up=True,
        counted=position - dead - late,
        late=late,
        dead=dead,
    )


def _daily(moment: datetime) -> float:
    """News follows the working day: a factor around one."""
    hour = moment.astimezone(UTC).hour + moment.minute / 60
    return 1 + 0.6 * sin((hour - 8) / 24 * 2 * pi)


def _hash(text: str) -> int:
    """The same in every process."""
    return crc32(text.encode())
