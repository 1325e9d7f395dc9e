"""A long past is judged in slices, an empty one at once."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alerts.service import SLICE, slices
from stream.windows import WindowTable, moment_of
from tests.unit.alerts.synthetic import EPOCH, bucket, table_of

START = moment_of(EPOCH)


@given(st.integers(-10_000, 100_000), st.lists(st.integers(0, 100_000), max_size=20))
def test_slices_come_in_order_and_pass_over_what_is_empty(minutes: int, filled: list[int]) -> None:
    end = START + timedelta(minutes=minutes)
    found = list(slices(table_of([bucket(minute, 1, 0) for minute in filled]), START, end))
    assert found[-1] == end
    if end > START:
        for a, b in pairwise([START, *found]):
            assert a < b
            passed_over = [minute for minute in filled if a < moment_of(EPOCH + minute) < b]
            assert b - a <= SLICE or not passed_over


def test_one_document_of_1970_costs_one_slice_more() -> None:
    table = WindowTable()
    table.put(bucket(0, 1, 0))
    assert len(list(slices(table, datetime(1970, 1, 1, tzinfo=UTC), START + timedelta(hours=1)))) == 2
