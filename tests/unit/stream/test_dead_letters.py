import pytest

from stream.dead_letters import PoisonGuard
from stream.errors import PoisonedInputError


def test_stops_after_so_many_dead_in_a_row_with_the_last_cause() -> None:
    guard = PoisonGuard(ratio=1.0, window=1000, consecutive=3)
    guard.observe(True, "first")
    guard.observe(True, "second")
    with pytest.raises(PoisonedInputError, match=r"3 documents in a row.*third"):
        guard.observe(True, "third")


def test_stops_when_more_than_the_ratio_of_a_full_window_is_dead() -> None:
    guard = PoisonGuard(ratio=0.5, window=10, consecutive=1000)
    for _ in range(5):
        guard.observe(True, "bad")
        guard.observe(False)
    guard.observe(True, "bad")  # takes the place of a dead one: still half
    with pytest.raises(PoisonedInputError, match="6 of the latest 10"):
        guard.observe(True, "bad")


def test_scattered_bad_documents_do_not_stop_it() -> None:
    guard = PoisonGuard(ratio=0.5, window=20, consecutive=5)
    for place in range(1000):
        guard.observe(place % 3 == 0, "bad")
