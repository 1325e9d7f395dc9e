"""Numbers as people say them."""

import pytest

from alerts.words import duration, length, rarity


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(1, "minute"), (5, "5 minutes"), (60, "hour"), (180, "3 hours"), (1440, "24 hours"), (10080, "7 days")],
)
def test_the_length_of_a_window(minutes: int, said: str) -> None:
    assert length(minutes) == said


@pytest.mark.parametrize(("minutes", "said"), [(1, "1 minute"), (90, "90 minutes"), (150, "2 hours"), (4000, "3 days")])
def test_how_long_something_took(minutes: int, said: str) -> None:
    assert duration(minutes) == said


@pytest.mark.parametrize(
    ("chance", "said"),
    [(0.5, "one in 2"), (0.00123, "one in 810"), (1e-6, "one in 1,000,000"), (1e-12, "less than one in a billion")],
)
def test_a_probability(chance: float, said: str) -> None:
    assert rarity(chance) == said
