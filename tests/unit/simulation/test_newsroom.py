"""What is published follows from the seed and the second alone, and moves as the scenario says."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

import pytest

from deploy.local.simulation.newsroom import COPY_SECONDS, Item, items
from deploy.local.simulation.outlets import SOCIAL, WIRE
from deploy.local.simulation.phases import Course
from deploy.local.simulation.scenario import CRISIS_TOPIC, Scenario
from deploy.local.simulation.usual import USUAL
from ingest.duplicates import StoryIndex, signature
from ingest.privacy import mask

NEVER = Course(float("inf"), float("inf"))
CRISIS = Scenario(seed=11, course=Course(100, 300))


def during(scenario: Scenario, start: int, end: int) -> list[Item]:
    return [item for second in range(start, end) for item in items(scenario, second)]


def negative_share(found: Iterable[Item]) -> float:
    moods = [item.draft.mood for item in found if not item.draft.copy]
    return moods.count("negative") / len(moods)


def of(topic: str, found: Iterable[Item]) -> list[Item]:
    return [item for item in found if item.draft.topic == topic]


def test_the_same_seed_publishes_the_same_in_every_process_whatever_was_asked_before() -> None:
    program = (
        "from deploy.local.simulation.newsroom import items\n"
        "from deploy.local.simulation.scenario import Scenario\n"
        "found = {second: items(Scenario(seed=3), second) for second in range(59, 39, -1)}\n"
        "print([found[second] for second in sorted(found)])\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert other.stdout.strip() == str([items(Scenario(seed=3), second) for second in range(40, 60)])


def test_another_seed_publishes_something_else() -> None:
    first, second = during(Scenario(seed=3), 0, 30), during(Scenario(seed=4), 0, 30)
    titles = {item.draft.story.title for item in first}
    assert len(titles & {item.draft.story.title for item in second}) < 0.05 * len(titles)


def test_items_of_a_second_are_numbered_in_the_order_of_their_time() -> None:
    for second in range(100, 130):
        found = items(CRISIS, second)
        assert [item.number for item in found] == list(range(len(found)))
        offsets = [item.draft.offset for item in found]
        assert offsets == sorted(offsets)
        assert all(0 <= offset < 1 for offset in offsets)


def test_nothing_is_published_before_the_past_begins() -> None:
    scenario = Scenario(history_seconds=100)
    assert not during(scenario, -500, -100)
    assert during(scenario, -100, 0)


@pytest.mark.parametrize("rate", [2.0, 9.0, 30.0])
def test_calm_has_as_many_documents_as_the_rate_says(rate: float) -> None:
    found = during(Scenario(seed=5, rate=rate, course=NEVER), 60, 460)
    assert len(found) / 400 == pytest.approx(rate, rel=0.1)


def test_the_past_has_about_as_many_documents_as_asked_for() -> None:
    found = during(Scenario(seed=5, history_documents=1500), -3300, 0)
    assert len(found) == pytest.approx(1500, rel=0.1)


def test_every_topic_keeps_its_usual_share_in_calm() -> None:
    found = during(Scenario(seed=6, rate=40, course=NEVER), 0, 400)
    for topic, usual in USUAL.items():
        assert negative_share(of(topic, found)) == pytest.approx(usual.negative, abs=0.07), topic


def test_the_run_turns_its_topic_negative_and_loud() -> None:
    calm, run = during(CRISIS, 0, 100), during(CRISIS, 105, 300)
    before, there = of(CRISIS_TOPIC, calm), of(CRISIS_TOPIC, run)
    assert negative_share(before) < 0.4
    assert 0.8 < negative_share(there) < 0.95
    assert len(there) / 195 > 4 * len(before) / 100


def test_the_run_leaves_the_other_topics_as_they_are() -> None:
    calm, run = during(CRISIS, 0, 100), during(CRISIS, 105, 300)
    others = [[item for item in found if item.draft.topic != CRISIS_TOPIC] for found in (calm, run)]
    assert len(others[1]) / 195 == pytest.approx(len(others[0]) / 100, rel=0.15)
    assert abs(negative_share(others[1]) - negative_share(others[0])) < 0.08


def test_the_rescue_brings_the_topic_back() -> None:
    assert negative_share(of(CRISIS_TOPIC, during(CRISIS, 300, 330))) < 0.35
    assert negative_share(of(CRISIS_TOPIC, during(CRISIS, 330, 600))) < 0.4


def test_a_run_is_about_few_banks_and_the_next_one_about_others() -> None:
    scenario = Scenario(seed=2, course=Course(10, 100, every=400))
    first, second = scenario.banks(50), scenario.banks(450)
    assert first == scenario.banks(90)
    assert not {bank.name for bank in first} & {bank.name for bank in second}
    titles = [item.draft.story.title for item in of(CRISIS_TOPIC, during(scenario, 20, 100)) if not item.draft.copy]
    named = Counter(bank.name for title in titles for bank in first if bank.name in title or bank.ticker in title)
    assert sum(named.values()) > 0.9 * len(titles)
    assert named.most_common(1)[0][1] > 0.25 * len(titles)


def test_copies_come_after_their_original_from_somebody_else() -> None:
    found = during(CRISIS, 100, 250)
    copies = [item for item in found if item.draft.copy]
    assert copies
    assert all(item.draft.outlet != WIRE.key for item in copies)
    originals = {item.draft.story.summary: item.second for item in during(CRISIS, 0, 250) if not item.draft.copy}
    for copy in copies:
        first = originals.get(copy.draft.story.summary)
        if copy.draft.outlet != SOCIAL and first is not None:
            assert copy.second - first in COPY_SECONDS


def test_the_run_is_copied_more() -> None:
    def copied(found: list[Item]) -> float:
        articles = [item for item in found if item.draft.outlet != SOCIAL]
        return sum(item.draft.copy for item in articles) / len(articles)

    calm = during(Scenario(seed=11, course=NEVER), 100, 300)
    assert copied(of(CRISIS_TOPIC, during(CRISIS, 140, 300))) > 1.5 * copied(calm)


def test_ingest_takes_copies_for_copies_and_stories_for_stories() -> None:
    index = StoryIndex(threshold=0.8, seconds=72 * 3600)
    stories: Counter[str] = Counter()
    copies: Counter[str] = Counter()
    for item in during(CRISIS, -3300, 400):
        story = item.draft.story
        social = item.draft.outlet == SOCIAL
        told = signature("", mask(story.title)) if social else signature(story.title, story.summary)
        known = index.find(told, item.second)
        (copies if item.draft.copy else stories)["known" if known else "new"] += 1
        if not known:
            index.add(told, item.second, f"{item.second}-{item.number}")
    assert copies["known"] > 0.9 * copies.total()
    assert stories["new"] > 0.97 * stories.total()
