"""Whether sentiment follows from the topic."""

import pytest

from model.bundle import ByTopic
from model.evaluation.topic_leak import topic_leaks
from model.labels import SENTIMENTS


def politics(confusion: list[list[int]]) -> ByTopic:
    return ByTopic(labelled=0, classes=tuple(SENTIMENTS), confusions={"Politics": confusion})


def test_a_topic_whose_bad_news_is_called_neutral_is_far_from_0() -> None:
    (found,) = topic_leaks([politics([[5, 95, 0], [0, 100, 0], [0, 0, 0]])])
    assert found.gap == pytest.approx(-0.475)
    assert found.gap + found.margin < 0
    assert found.recall == 0.05


def test_errors_to_both_sides_are_no_leak() -> None:
    (found,) = topic_leaks([politics([[90, 10, 0], [10, 90, 0], [0, 0, 0]])])
    assert found.gap == 0
    assert found.margin == pytest.approx(1.96 * 20**0.5 / 200)


def test_sets_are_taken_together_each_by_its_own_classes() -> None:
    bulls = ByTopic(labelled=0, classes=("negative", "positive"), confusions={"Politics": [[1, 2], [3, 4]]})
    (found,) = topic_leaks([politics([[1, 1, 1], [1, 1, 1], [1, 1, 1]]), bulls])
    assert found.confusion == [[2, 1, 3], [1, 1, 1], [4, 1, 5]]
    assert found.texts == 19
