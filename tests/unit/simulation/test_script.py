"""Every line of the script can be told, about every topic that the classifier knows, and hardly any twice."""

import re
from collections.abc import Iterator
from random import Random

import pytest

from deploy.local.simulation.cast import Cast
from deploy.local.simulation.grammar import expand
from deploy.local.simulation.script import Script, read_script
from deploy.local.simulation.stories import copy_article, write_article, write_post
from deploy.local.simulation.usual import USUAL
from model.labels import SENTIMENTS, TOPICS, Sentiment

FEWEST_LINES = 6
"""A title, two sentences of a summary and three paragraphs are different lines."""


def all_lines(script: Script) -> Iterator[tuple[str, Sentiment | str, str]]:
    for topic, lines in script.topics.items():
        for mood in SENTIMENTS:
            yield from ((topic, mood, line) for line in lines[mood])
    for name, chapter in (("run", script.run), ("rescue", script.rescue)):
        for mood in SENTIMENTS:
            yield from ((name, mood, line) for line in chapter.lines[mood])
        yield from ((name, "posts", line) for line in chapter.posts)


def told(line: str, seed: int = 0) -> str:
    rng = Random(seed)
    return expand(line, Cast(rng), rng)


def test_the_script_has_every_topic_of_the_classifier() -> None:
    assert sorted(read_script().topics) == sorted(TOPICS) == sorted(USUAL)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("mood", SENTIMENTS)
def test_every_topic_has_lines_enough_for_a_story_in_every_mood(topic: str, mood: Sentiment) -> None:
    prose = [line for line in read_script().topics[topic][mood] if not line.startswith("$") and not line.endswith("?")]
    assert len(prose) >= FEWEST_LINES


def test_every_line_can_be_told() -> None:
    for *_, line in all_lines(read_script()):
        text = told(line)
        assert not re.search(r"[{}\[\]|]", text), line
        assert text == text.strip()
        assert 15 <= len(text) <= 220, line


def test_no_line_stands_twice() -> None:
    lines = [line for *_, line in all_lines(read_script())]
    assert len(lines) == len(set(lines))


def test_usual_shares_are_those_of_a_calm_day() -> None:
    for topic, usual in USUAL.items():
        assert 0.10 <= usual.negative <= 0.35, topic
        assert usual.negative + usual.positive < 0.9, topic


def test_a_story_keeps_its_cast() -> None:
    rng = Random(4)
    cast = Cast(rng)
    story = write_article(read_script().topics["Dividend"]["positive"], read_script(), cast, rng)
    assert str(cast["company"]) in story.title
    assert str(cast["company"]) in story.summary
    assert story.title not in story.summary


def test_equal_chance_tells_equal_stories() -> None:
    def story(seed: int) -> object:
        rng = Random(seed)
        return write_article(read_script().topics["Macro"]["negative"], read_script(), Cast(rng), rng)

    assert story(5) == story(5)
    assert story(5) != story(6)


def test_a_copy_credits_its_source_somewhere_or_tells_the_same() -> None:
    rng = Random(1)
    story = write_article(read_script().topics["Earnings"]["neutral"], read_script(), Cast(rng), rng)
    copies = [copy_article(story, "Meridian Wire", Random(seed)) for seed in range(40)]
    assert any("Meridian Wire" in copy.title for copy in copies)
    assert any("Meridian Wire" in copy.summary for copy in copies)
    assert all(len(copy.paragraphs) < len(story.paragraphs) for copy in copies)


def test_posts_carry_cashtags_emoji_handles_and_now_and_then_an_address() -> None:
    script = read_script()
    posts = []
    for seed in range(600):
        rng = Random(seed)
        lines = script.topics["Stock Commentary"]["negative"]
        posts.append(write_post(lines, script.voices["negative"], script, Cast(rng), rng).title)
    assert sum("$" in post for post in posts) > 200
    assert sum("@" in post for post in posts) > 60
    assert sum(not post.isascii() for post in posts) > 200
    assert 3 <= sum(bool(re.search(r"\w@\w+\.example", post)) for post in posts) <= 60
    assert len(set(posts)) > 590
