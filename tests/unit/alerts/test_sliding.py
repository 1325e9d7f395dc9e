"""The moving sum equals the plain one, however seldom it is asked and however soon the table is pruned."""

from hypothesis import given
from hypothesis import strategies as st

from alerts.sliding import Sliding
from stream.windows import WindowTable
from tests.unit.alerts.synthetic import EPOCH, bucket

LENGTH, STEP, LATENESS = 60, 10, 15

streams = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 5), st.integers(0, 3)), max_size=60)
moments = st.lists(st.integers(1, 50), min_size=1, max_size=20, unique=True)


@given(streams, moments, st.booleans())
def test_it_is_the_sum_of_the_window(stream: list[tuple[int, int, int]], asked: list[int], settles: bool) -> None:
    whole, pruned = WindowTable(), WindowTable()
    for number, (minute, stories, partition) in enumerate(stream):
        item = bucket(minute, stories, stories // 2, partition=partition, applied=number)
        whole.put(item)
        pruned.put(item)
    sliding = Sliding("Financials", LENGTH, STEP, evidence=3)
    for moment in sorted(asked):
        t = EPOCH + moment * STEP
        assert sliding.at(pruned, t) == whole.window("Financials", t, LENGTH)
        for part in range(STEP, LENGTH, STEP):
            assert sliding.newest(pruned, t, part) == whole.window("Financials", t, part)
        if whole.window("Financials", t, LENGTH).negative:
            assert sliding.evidence(pruned, t) == whole.evidence("Financials", t, LENGTH, 3)
        if settles:
            sliding.settle(pruned, t + 3, t + 3 - LATENESS)
            pruned.drop_before(sliding.settled(t))


def test_what_comes_late_within_the_allowance_is_counted() -> None:
    table, sliding = WindowTable(), Sliding("Financials", LENGTH, STEP, evidence=3)
    table.put(bucket(0, 5, 1))
    sliding.settle(table, EPOCH + 10, EPOCH + 10 - LATENESS)
    table.put(bucket(1, 5, 5, applied=1))
    assert sliding.at(table, EPOCH + 20).stories == 10


def test_what_a_partition_that_is_behind_may_still_bring_is_counted_however_old_it_is() -> None:
    table, sliding = WindowTable(), Sliding("Financials", LENGTH, STEP, evidence=3)
    table.put(bucket(1, 5, 1))
    sliding.settle(table, EPOCH + 50, EPOCH)
    table.put(bucket(2, 5, 5, partition=1))
    assert sliding.at(table, EPOCH + 50).stories == 10
