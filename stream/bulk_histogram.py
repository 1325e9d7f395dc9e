"""A histogram that takes a value many times at once. prometheus_client's own costs a microsecond a time."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import Lock

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class BulkHistogram(Collector):
    """Shows what `prometheus_client.Histogram` without labels shows, but for the time when it was made."""

    def __init__(
        self, name: str, documentation: str, *, buckets: Sequence[float], registry: CollectorRegistry = REGISTRY
    ) -> None:
        """`buckets`: upper bounds, ascending, without infinity."""
        self._name = name
        self._documentation = documentation
        self._bounds = (*buckets, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._lock = Lock()  # scraped from another thread
        registry.register(self)

    def observe_many(self, value: float, times: int) -> None:
        """As if `value` were observed so many times."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += times
            self._sum += value * times

    def describe(self) -> Iterator[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._name, self._documentation)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        bounds = map(floatToGoString, self._bounds)
        yield HistogramMetricFamily(
            self._name, self._documentation, buckets=list(zip(bounds, counts, strict=True)), sum_value=total
        )
