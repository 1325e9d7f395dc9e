from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import PoisonedInputError
from stream.poison import PoisonGuard


def test_stops_after_so_many_dead_in_a_row_with_the_last_cause() -> None:
    guard = PoisonGuard(ratio=1.0, window=1000, consecutive=3)
    guard.dead("first")
    guard.dead("second")
    with pytest.raises(PoisonedInputError, match=r"3 documents in a row.*third"):
        guard.dead("third")


def test_stops_when_more_than_the_ratio_of_a_full_window_is_dead() -> None:
    guard = PoisonGuard(ratio=0.5, window=10, consecutive=1000)
    for _ in range(5):
        guard.dead("bad")
        guard.sound()
    guard.dead("bad")  # takes the place of a dead one: still half
    with pytest.raises(PoisonedInputError, match="6 of the latest 10"):
        guard.dead("bad")


def test_scattered_bad_documents_do_not_stop_it() -> None:
    guard = PoisonGuard(ratio=0.5, window=20, consecutive=5)
    for _ in range(300):
        guard.dead("bad")
        guard.sound(2)


@given(
    st.lists(st.booleans(), max_size=60), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(1, 12), st.integers(1, 12)
)
def test_stops_at_the_first_document_that_passes_a_limit(
    dead: Sequence[bool], ratio: float, window: int, consecutive: int
) -> None:
    def passes(seen: Sequence[bool]) -> bool:
        latest = seen[-window:]
        return seen[-1] and (
            (len(seen) >= consecutive and all(seen[-consecutive:]))
            or (len(latest) == window and sum(latest) > ratio * window)
        )

    expected = next((count for count in range(1, len(dead) + 1) if passes(dead[:count])), None)
    guard = PoisonGuard(ratio=ratio, window=window, consecutive=consecutive)
    stopped, seen = None, 0
    try:
        for is_dead, group in groupby(dead):
            documents = len(list(group))
            if not is_dead:
                guard.sound(documents)
                seen += documents
                continue
            for _ in range(documents):
                seen += 1
                guard.dead("bad")
    except PoisonedInputError:
        stopped = seen
    assert stopped == expected


def test_none_that_is_sound_between_two_dead_ones_ends_no_row() -> None:
    guard = PoisonGuard(ratio=1.0, window=1000, consecutive=2)
    guard.dead("bad")
    guard.sound(0)
    with pytest.raises(PoisonedInputError, match="2 documents in a row"):
        guard.dead("bad")
