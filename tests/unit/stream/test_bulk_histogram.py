from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from stream.bulk_histogram import BulkHistogram

BOUNDS = (0.125, 0.5, 2.0)
"""Like all values here exact in binary, so that sums do not depend on their order."""


@given(st.dictionaries(st.sampled_from([0.0, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 8.0]), st.integers(0, 5)))
def test_many_at_once_are_what_each_would_be(values: Mapping[float, int]) -> None:
    one_by_one, at_once = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("seconds", "Of what.", buckets=BOUNDS, registry=one_by_one)
    bulk = BulkHistogram("seconds", "Of what.", buckets=BOUNDS, registry=at_once)
    for value, times in values.items():
        for _ in range(times):
            histogram.observe(value)
        bulk.observe_many(value, times)
    shown, expected = (
        [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
        for registry in (at_once, one_by_one)
    )
    assert shown == expected
