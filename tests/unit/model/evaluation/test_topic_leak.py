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
    assert found.margin == pytest.approx(1.96 * 21**0.5 / 202)


def test_few_errors_that_all_go_one_way_leave_doubt() -> None:
    """Three bad texts of which none is called so: by Wald's variance there would be no doubt, which is 0."""
    (found,) = topic_leaks([politics([[0, 3, 0], [0, 0, 0], [0, 0, 0]])])
    assert found.gap == -1
    assert found.margin == pytest.approx(1.96 * (4 - 9 / 5) ** 0.5 / 5)
    (none,) = topic_leaks([politics([[1, 0, 0], [0, 2, 0], [0, 0, 0]])])
    assert none.gap == 0
    assert none.margin > 0.3, "three texts that are right prove little"


def test_sets_are_taken_together_each_by_its_own_classes() -> None:
    bulls = ByTopic(labelled=0, classes=("negative", "positive"), confusions={"Politics": [[1, 2], [3, 4]]})
    (found,) = topic_leaks([politics([[1, 1, 1], [1, 1, 1], [1, 1, 1]]), bulls])
    assert found.confusion == [[2, 1, 3], [1, 1, 1], [4, 1, 5]]
    assert found.texts == 19
