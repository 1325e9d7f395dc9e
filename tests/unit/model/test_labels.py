from typing import get_args

from model.labels import SENTIMENTS, TOPICS, Sentiment
from tests.shared import shared


def test_topics_are_those_of_the_labelled_set_in_its_order() -> None:
    lines = shared("data/twitter_topic/classes.txt").read_text(encoding="utf-8").split("\n")
    assert tuple(line.rstrip() for line in lines if line.strip()) == TOPICS


def test_sentiments_are_the_three_in_order_of_mood() -> None:
    assert SENTIMENTS == ("negative", "neutral", "positive") == get_args(Sentiment)


def test_no_topic_is_named_twice() -> None:
    assert len(set(TOPICS)) == len(TOPICS) == 20
