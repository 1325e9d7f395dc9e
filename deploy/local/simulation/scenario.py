"""How much is published about what, and in what mood: a pure function of the seed and the seconds since the start."""

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from deploy.local.simulation import world
from deploy.local.simulation.phases import Course
from deploy.local.simulation.usual import USUAL

CRISIS_TOPIC: Final = "Financials"
"""Reported figures of companies: where the classifier puts a bank that has lost its deposits."""

CRISIS_BANKS: Final = 6
"""How many banks one run is about: few enough to be one story, enough for the fear to have spread."""

RUN_VOLUME: Final = 6.0
"""Times the usual number of the topic's stories, in the full run."""

RESCUE_VOLUME: Final = 3.0

SPILL: Final = 0.03
"""What the full run adds to the negative share of every other topic."""


class Moods(NamedTuple):
    """Shares of stories; the rest is neutral."""

    negative: float
    positive: float


RUN: Final = Moods(0.88, 0.03)
RESCUE: Final = Moods(0.10, 0.60)


class Copying(NamedTuple):
    """How many copies a story meets, on average."""

    articles: float
    """Of a wire story, by other outlets."""
    posts: float
    """Of a post, by other people."""


CALM_COPYING: Final = Copying(0.45, 0.06)
RUN_COPYING: Final = Copying(1.8, 0.4)

WIRE_SHARE: Final = 0.45
"""Part of the articles that the wire brings first."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A made-up web: calm, a bank run in `CRISIS_TOPIC`, calm again. Equal scenarios publish the same."""

    seed: int = 1
    rate: float = 9.0
    """Documents a second in calm: articles and posts, with all copies."""
    course: Course = field(default_factory=Course)
    history_seconds: int = 3300
    """How far back the past goes; below an hour, so that no reader with an hour's allowance finds it late."""
    history_documents: int = 1800
    """About how many documents that past has."""

    def volume(self, topic: str, second: float) -> float:
        """How many stories a second the topic has at that moment, without copies, before chance has its say."""
        documents = self.rate if second >= 0 else self.history_documents / max(1, self.history_seconds)
        usual = documents * _part(topic) / _documents_per_story()
        if topic != CRISIS_TOPIC:
            return usual
        fear, relief = self.course.fear(second), self.course.relief(second)
        return usual * (1 + (RUN_VOLUME - 1) * fear + (RESCUE_VOLUME - 1) * relief)

    def moods(self, topic: str, second: float) -> Moods:
        """The moods that the topic's stories tend to at that moment."""
        usual = USUAL[topic]
        fear, relief = self.course.fear(second), self.course.relief(second)
        if topic != CRISIS_TOPIC:
            return Moods(usual.negative + SPILL * fear, usual.positive)
        calm = 1 - fear - relief
        return Moods(
            usual.negative * calm + RUN.negative * fear + RESCUE.negative * relief,
            usual.positive * calm + RUN.positive * fear + RESCUE.positive * relief,
        )

    def copying(self, topic: str, second: float) -> Copying:
        """How eagerly the topic's stories are copied at that moment."""
        fear = self.course.fear(second) if topic == CRISIS_TOPIC else 0.0
        return Copying(*(calm + (run - calm) * fear for calm, run in zip(CALM_COPYING, RUN_COPYING, strict=True)))

    def banks(self, second: float) -> tuple[world.Firm, ...]:
        """The banks that the run at that moment is about, the worst hit first."""
        return _banks(self.seed, self.course.cycle(second))

    def chance(self, purpose: str, second: int) -> Random:
        """A generator for one purpose and second: equal wherever and whenever it is made."""
        return _chance(self.seed, purpose, second)


def _chance(seed: int, purpose: str, number: int) -> Random:
    return Random(f"{seed}/{purpose}/{number}")  # noqa: S311 - made-up news, no secrets


@lru_cache(maxsize=64)
def _banks(seed: int, cycle: int) -> tuple[world.Firm, ...]:
    rng = _chance(seed, "banks", cycle)
    found: dict[str, world.Firm] = {}
    while len(found) < CRISIS_BANKS:
        bank = world.firm_called(rng, world.BANKS)
        found.setdefault(bank.ticker, bank)
    return tuple(found.values())


@lru_cache(maxsize=32)
def _part(topic: str) -> float:
    return USUAL[topic].weight / sum(usual.weight for usual in USUAL.values())


@lru_cache(maxsize=1)
def _documents_per_story() -> float:
    """In calm, copies included."""
    return sum(
        _part(topic) * (1 + (1 - usual.social) * WIRE_SHARE * CALM_COPYING.articles + usual.social * CALM_COPYING.posts)
        for topic, usual in USUAL.items()
    )
