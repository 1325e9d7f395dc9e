from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stream.records import Checkpoint
from stream.watermarks import NEVER, WholeWatermark

CLOCK = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVENT = datetime(2018, 1, 1, tzinfo=UTC)
IDLE = timedelta(seconds=30)


def checkpoint(partition: int, position: int, hours: float, *, caught_up: bool = True) -> Checkpoint:
    return Checkpoint(
        partition=partition, position=position, watermark=EVENT + timedelta(hours=hours), caught_up=caught_up
    )


def after(seconds: float) -> datetime:
    return CLOCK + timedelta(seconds=seconds)


def whole(partitions: int = 2, *, follow_clock: bool = False) -> WholeWatermark:
    return WholeWatermark(partitions, idle=IDLE, follow_clock=follow_clock)


def test_it_is_the_lowest_of_the_partitions_that_speak() -> None:
    watermark = whole()
    assert watermark.at(CLOCK) is None
    watermark.observe(checkpoint(0, 1, 5), CLOCK)
    assert watermark.at(after(1)) is None
    watermark.observe(checkpoint(1, 1, 3), after(1))
    assert watermark.at(after(1)) == EVENT + timedelta(hours=3)


def test_a_silent_partition_that_is_read_to_its_end_holds_back_only_for_a_while() -> None:
    watermark = whole()
    watermark.observe(checkpoint(0, 1, 5), CLOCK)
    watermark.observe(checkpoint(1, 1, 3), CLOCK)
    watermark.observe(checkpoint(0, 2, 9), after(29))
    assert watermark.at(after(29)) == EVENT + timedelta(hours=3)
    assert watermark.at(after(31)) == EVENT + timedelta(hours=9)


def test_a_partition_that_is_behind_holds_back_however_long_it_takes() -> None:
    watermark = whole()
    watermark.observe(checkpoint(0, 1, 5), CLOCK)
    watermark.observe(checkpoint(1, 1, 3, caught_up=False), CLOCK)
    assert watermark.at(after(3600)) == EVENT + timedelta(hours=3)


def test_the_first_partition_to_wake_does_not_run_ahead_of_the_others() -> None:
    watermark = whole()
    watermark.observe(checkpoint(0, 1, 5), CLOCK)
    watermark.observe(checkpoint(1, 1, 5), CLOCK)
    assert watermark.at(after(100)) == EVENT + timedelta(hours=5)
    watermark.observe(checkpoint(0, 2, 50), after(3600))
    assert watermark.at(after(3601)) == EVENT + timedelta(hours=5)
    watermark.observe(checkpoint(1, 2, 40), after(3602))
    assert watermark.at(after(3602)) == EVENT + timedelta(hours=40)


def test_when_all_are_idle_an_archive_stops_at_its_last_document_and_live_goes_on_with_the_clock() -> None:
    for follow_clock, expected in ((False, timedelta()), (True, timedelta(seconds=60))):
        watermark = whole(follow_clock=follow_clock)
        watermark.observe(checkpoint(0, 1, 5), CLOCK)
        watermark.observe(checkpoint(1, 1, 3), CLOCK)
        assert watermark.at(after(60)) == EVENT + timedelta(hours=5) + expected


def test_a_checkpoint_that_is_behind_what_is_known_is_passed_over() -> None:
    watermark = whole(1)
    watermark.observe(checkpoint(0, 9, 9), CLOCK)
    watermark.observe(checkpoint(0, 3, 3), CLOCK)
    assert watermark.at(CLOCK) == EVENT + timedelta(hours=9)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 40), st.booleans(), st.integers(0, 50)),
        max_size=30,
    )
)
def test_it_never_goes_back(steps: list[tuple[int, int, int, bool, int]]) -> None:
    watermark, now, reached = whole(3, follow_clock=True), CLOCK, EVENT
    positions = [0, 0, 0]
    for partition, more, hours, caught_up, seconds in steps:
        now += timedelta(seconds=seconds)
        positions[partition] += more
        watermark.observe(checkpoint(partition, positions[partition], hours, caught_up=caught_up), now)
        moment = watermark.at(now)
        if moment is not None:
            assert moment >= reached
            reached = moment


def test_documents_that_wait_hold_back_though_no_worker_lives_to_say_so() -> None:
    watermark = whole(1, follow_clock=True)
    watermark.observe(replace(checkpoint(0, 1, 5), origin=0), CLOCK)
    watermark.observe_ends({0: 1})
    assert watermark.at(after(3600)) == EVENT + timedelta(hours=6)
    watermark = whole(1, follow_clock=True)
    watermark.observe(replace(checkpoint(0, 1, 5), origin=0), CLOCK)
    watermark.observe_ends({0: 2})
    assert watermark.at(after(3600)) == EVENT + timedelta(hours=5)


def test_the_lowest_is_that_of_the_partition_furthest_behind_idle_or_not() -> None:
    watermark = whole()
    assert watermark.lowest == NEVER
    watermark.observe(checkpoint(0, 1, 5), CLOCK)
    assert watermark.lowest == NEVER
    watermark.observe(checkpoint(1, 1, 3), CLOCK)
    assert watermark.lowest == EVENT + timedelta(hours=3)


@given(st.permutations(range(4)))
def test_what_waits_may_be_read_in_any_order(order: list[int]) -> None:
    """The newest records of a partition are read before those before them."""
    written = [
        (checkpoint(0, 1, 4), CLOCK),
        (checkpoint(0, 2, 5, caught_up=False), after(20)),
        (checkpoint(0, 2, 5), after(40)),
        (checkpoint(1, 1, 6), after(45)),
    ]
    watermark = WholeWatermark(2, idle=IDLE, follow_clock=False, loading=True)
    for place in order:
        watermark.observe(*written[place])
    assert watermark.floor == EVENT + timedelta(hours=5), "known before all is read"
    watermark.loaded()
    assert watermark.at(after(49)) == EVENT + timedelta(hours=5)
    assert watermark.at(after(51)) == EVENT + timedelta(hours=6), "the first partition has been silent since 20"


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9), st.booleans(), st.integers(0, 40)), max_size=20),
    st.integers(0, 20),
)
def test_it_does_not_fall_below_its_floor(steps: list[tuple[int, int, bool, int]], loaded: int) -> None:
    watermark, clock, floor = WholeWatermark(2, idle=IDLE, follow_clock=True, loading=True), CLOCK, NEVER
    for number, (partition, position, caught_up, seconds) in enumerate(steps):
        if number == loaded:
            watermark.loaded()
        clock += timedelta(seconds=seconds)
        watermark.observe(checkpoint(partition, position, position * (1 + partition), caught_up=caught_up), clock)
        assert (watermark.at(clock) or NEVER) >= (floor if number >= loaded else NEVER)
        assert watermark.floor >= floor
        floor = watermark.floor
    if len(steps) <= loaded:
        watermark.loaded()
    assert (watermark.at(clock) or NEVER) >= floor


def test_a_partition_that_spoke_a_moment_ago_still_holds_back() -> None:
    watermark = whole()
    watermark.observe(checkpoint(0, 1, 5), CLOCK)
    watermark.observe(checkpoint(1, 1, 3), after(20))
    watermark.observe(checkpoint(0, 2, 9), after(40))
    assert watermark.at(after(45)) == EVENT + timedelta(hours=3)
    assert watermark.at(after(51)) == EVENT + timedelta(hours=9)


def test_a_role_that_starts_anew_finds_the_watermark_of_the_running_one() -> None:
    written = [(checkpoint(1, 1, 3), CLOCK), (checkpoint(0, 1, 5), after(20))]
    running, anew = whole(follow_clock=True), WholeWatermark(2, idle=IDLE, follow_clock=True, loading=True)
    for one, now in written:
        running.observe(one, now)
    for one, now in reversed(written):
        anew.observe(one, now)
    anew.loaded()
    assert running.at(after(60)) == anew.at(after(60)) == EVENT + timedelta(hours=5, seconds=40)


def test_a_partition_that_says_that_it_has_caught_up_holds_back_no_more_and_has_not_moved() -> None:
    running, anew = whole(1, follow_clock=True), WholeWatermark(1, idle=IDLE, follow_clock=True, loading=True)
    for watermark in (running, anew):
        watermark.observe(checkpoint(0, 1, 5, caught_up=False), CLOCK)
        watermark.observe(checkpoint(0, 1, 5), after(25))
    anew.loaded()
    assert running.at(after(40)) == anew.at(after(40)) == EVENT + timedelta(hours=5, seconds=40)


def test_dead_letters_alone_are_no_event_time() -> None:
    watermark = whole(1, follow_clock=True)
    watermark.observe(Checkpoint(partition=0, position=3, dead=3, caught_up=True), CLOCK)
    assert watermark.at(after(60)) is None
