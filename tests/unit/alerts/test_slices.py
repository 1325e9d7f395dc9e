"""A long past is judged in slices."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alerts.service import SLICE, slices

START = datetime(2026, 3, 2, tzinfo=UTC)


@given(st.integers(-10_000, 100_000))
def test_slices_come_in_order_and_end_where_they_should(minutes: int) -> None:
    end = START + timedelta(minutes=minutes)
    found = list(slices(START, end))
    assert found[-1] == end
    if end > START:
        assert all(timedelta(0) < b - a <= SLICE for a, b in pairwise([START, *found]))
