"""What is published in a second: a pure function of the scenario and the second.

Any second can be asked for, in any order, by several servers, again after a restart: nothing has to be kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from deploy.local.simulation import world
from deploy.local.simulation.cast import Cast
from deploy.local.simulation.outlets import BY_KEY, OUTLETS, SOCIAL, WIRE, desks_for
from deploy.local.simulation.scenario import CRISIS_TOPIC, WIRE_SHARE, Scenario
from deploy.local.simulation.script import Chapter, read_script
from deploy.local.simulation.stories import Story, copy_article, copy_post, write_article, write_post, write_remark
from deploy.local.simulation.usual import USUAL
from model.labels import SENTIMENTS, Sentiment

COPY_SECONDS: Final = range(2, 40)
"""How long after the original a copy appears."""

REMARK_SHARE: Final = 0.35
"""Part of the posts in a crisis that are in people's own words."""

BANK_WEIGHTS: Final = (10, 5, 3, 2, 1, 1)
"""How much of the run each of its banks is, the worst hit first."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One article or post before it has its place in the second."""

    offset: float
    """Fraction of the second, 0 to below 1."""
    outlet: str
    """Key of the outlet, or `SOCIAL`."""
    author: str
    topic: str
    mood: Sentiment
    story: Story
    copy: bool = False
    """Another outlet or account published the story before."""


@dataclass(frozen=True, slots=True)
class Item:
    """One article or post, named by its second and its number there."""

    second: int
    """The second since the start in which it is published; negative before the start."""
    number: int
    """Its place in the second; a later place has no smaller offset."""
    draft: Draft


@lru_cache(maxsize=16_384)
def items(scenario: Scenario, second: int) -> tuple[Item, ...]:
    """What is published in [second, second + 1), in order; nothing where the past has not begun."""
    drafts = list(_originals(scenario, second))
    for delay in COPY_SECONDS:
        drafts += (draft for wait, draft in _copies(scenario, second - delay) if wait == delay)
    drafts.sort(key=lambda draft: draft.offset)
    return tuple(Item(second, number, draft) for number, draft in enumerate(drafts))


@lru_cache(maxsize=16_384)
def _originals(scenario: Scenario, second: int) -> tuple[Draft, ...]:
    if second < -scenario.history_seconds:
        return ()
    rng = scenario.chance("stories", second)
    return tuple(
        _write(scenario, topic, second, rng)
        for topic in USUAL
        for _ in range(_poisson(scenario.volume(topic, second), rng))
    )


def _write(scenario: Scenario, topic: str, second: int, rng: Random) -> Draft:
    negative, positive = scenario.moods(topic, second)
    mood = rng.choices(SENTIMENTS, (negative, max(0.0, 1 - negative - positive), positive))[0]
    script, offset = read_script(), rng.random()
    chapter = _chapter(scenario, topic, second, rng)
    lines = (chapter.lines if chapter else script.topics[topic])[mood]
    cast = _cast_of_the_run(scenario, second, rng) if chapter else Cast(rng)
    if rng.random() < USUAL[topic].social:
        voice = script.voices[mood]
        if chapter and mood == chapter.posts_mood and rng.random() < REMARK_SHARE:
            story = write_remark(chapter.posts, voice, script, cast, rng)
        else:
            story = write_post(lines, voice, script, cast, rng)
        return Draft(offset, SOCIAL, world.handle(rng), topic, mood, story)
    outlet = WIRE if rng.random() < WIRE_SHARE else rng.choice(desks_for(topic)[1:])
    return Draft(offset, outlet.key, world.person(rng), topic, mood, write_article(lines, script, cast, rng))


def _chapter(scenario: Scenario, topic: str, second: int, rng: Random) -> Chapter | None:
    """The part of the crisis that the next story of `topic` is about, if it is."""
    if topic != CRISIS_TOPIC:
        return None
    script, course = read_script(), scenario.course
    if rng.random() < course.fear(second):
        return script.run
    return script.rescue if rng.random() < course.relief(second) else None


def _cast_of_the_run(scenario: Scenario, second: int, rng: Random) -> Cast:
    banks = scenario.banks(second)
    bank = rng.choices(banks, BANK_WEIGHTS)[0]
    rival = rng.choice([other for other in banks if other != bank])
    return Cast(rng, {"bank": bank, "company": bank, "rival": rival})


@lru_cache(maxsize=16_384)
def _copies(scenario: Scenario, second: int) -> tuple[tuple[int, Draft], ...]:
    """The copies of that second's originals, each with the seconds until it appears."""
    rng = scenario.chance("copies", second)
    return tuple(
        (rng.choice(COPY_SECONDS), copy)
        for original in _originals(scenario, second)
        for copy in _copies_of(original, scenario, second, rng)
    )


def _copies_of(original: Draft, scenario: Scenario, second: int, rng: Random) -> Iterator[Draft]:
    eager = scenario.copying(original.topic, second)
    if original.outlet == SOCIAL:
        for _ in range(_poisson(eager.posts, rng)):
            story = copy_post(original.story, original.author)
            yield Draft(rng.random(), SOCIAL, world.handle(rng), original.topic, original.mood, story, copy=True)
    elif original.outlet == WIRE.key:
        others = [outlet for outlet in OUTLETS if outlet != WIRE]
        rng.shuffle(others)
        for outlet in others[: _poisson(eager.articles, rng)]:
            story = copy_article(original.story, BY_KEY[original.outlet].name, rng)
            yield Draft(rng.random(), outlet.key, original.author, original.topic, original.mood, story, copy=True)


def _poisson(mean: float, rng: Random) -> int:
    """How often something happens that happens `mean` times on average. Knuth's method, for small means."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
