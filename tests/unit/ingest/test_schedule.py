"""When sources are read, and how long one that fails is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.schedule import Schedule, backoff, next_start


def test_all_sources_are_due_at_first_and_once() -> None:
    schedule = Schedule(3, now=10.0)
    assert sorted(number for number in (schedule.take(10.0) for _ in range(3)) if number is not None) == [0, 1, 2]
    assert schedule.take(10.0) is None


def test_a_source_is_due_when_it_was_put() -> None:
    schedule = Schedule(1, now=0.0)
    schedule.take(0.0)
    schedule.put(0, at=5.0)
    assert schedule.take(4.9) is None
    assert schedule.take(5.0) == 0


def test_the_longest_due_goes_first() -> None:
    schedule = Schedule(2, now=0.0)
    schedule.take(0.0), schedule.take(0.0)
    schedule.put(0, at=5.0)
    schedule.put(1, at=3.0)
    assert [schedule.take(9.0), schedule.take(9.0)] == [1, 0]


def test_a_pause_ends_when_a_source_is_due() -> None:
    schedule = Schedule(1, now=0.0)
    assert schedule.pause(0.0, 0.5) == 0.0
    schedule.take(0.0)
    assert schedule.pause(0.0, 0.5) == 0.5
    schedule.put(0, at=0.25)
    assert schedule.pause(0.0, 0.5) == 0.25
    assert schedule.pause(0.3, 0.5) == 0.0, "it became due since anybody looked"


def test_a_slow_source_starts_again_at_once_but_not_twice() -> None:
    assert next_start(started=0.0, now=1.0, every=10.0) == 10.0
    assert next_start(started=0.0, now=35.0, every=10.0) == 35.0


@given(st.integers(1, 5000), st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0, 1))
def test_a_wait_grows_up_to_the_longest_and_chance_takes_half_of_it_at_most(
    failures: int, every: float, longest: float, chance: float
) -> None:
    wait = backoff(failures, every, longest, chance)
    full = backoff(failures, every, longest, 1.0)
    assert full / 2 <= wait <= full <= max(every, longest)
    assert full <= backoff(failures + 1, every, longest, 1.0)
    assert backoff(1, every, longest, 1.0) == every
