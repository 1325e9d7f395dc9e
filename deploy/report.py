"""What a replay did, as numbers that must add up. Pure; `deploy.local.run` gathers what goes in."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from stream.records import Alert, to_dict

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
LATENCY = "finsentry_document_to_window_seconds"


class Report(msgspec.Struct, frozen=True):
    """`rows = rejected + published` and `published = counted + late + dead_lettered + duplicates`."""

    rows: int
    rejected: int
    published: int
    duplicates: int
    counted: int
    late: int
    dead_lettered: int
    documents_per_second: float
    """Counted, late and dead documents by the seconds from the workers being ready to the last of them."""
    latency_seconds: dict[str, float | None]
    """From a document's append to `documents` until its bucket is acknowledged; null where none was counted."""
    peak_memory_bytes: dict[str, int]
    alerts: list[dict[str, Any]]
    complete: bool = True
    """The replay was through; else the numbers are those of when it was stopped, and `rows` what could be read."""

    @property
    def gaps(self) -> list[str]:
        """The sums that do not add up, for people; empty where every row is accounted for."""
        if not self.complete:
            return [f"the replay was stopped: {self.published} of {self.rows} published, {self.counted} counted"]
        found = []
        if self.rows != self.rejected + self.published:
            found.append(f"{self.rows} rows, but {self.rejected} rejected + {self.published} published")
        accounted = self.counted + self.late + self.dead_lettered + self.duplicates
        if self.published != accounted:
            found.append(f"{self.published} published, but {accounted} counted, late, dead or duplicate")
        return found


def latest_alerts(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """The last record of each alert, in the order in which they started."""
    newest = {alert.id: alert for alert in alerts}
    return [to_dict(alert) for alert in sorted(newest.values(), key=lambda a: (a.started_at, a.topic, a.judge))]


def latencies(metrics_texts: Iterable[str]) -> dict[str, float | None]:
    """Percentiles of the documents' latency over all workers, from their `/metrics`."""
    buckets: dict[float, float] = {}
    for text in metrics_texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"{LATENCY}_bucket":
                    bound = float(sample.labels["le"])
                    buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return {name: quantile(share, buckets) for name, share in PERCENTILES.items()}


def quantile(share: float, cumulative: Mapping[float, float]) -> float | None:
    """The quantile of a histogram of cumulative counts by upper bound, estimated as `histogram_quantile` does.

    Linear within the bucket; the highest finite bound where it falls above that; None where nothing was counted.
    """
    bounds = sorted(cumulative)
    if not bounds or cumulative[bounds[-1]] == 0:
        return None
    rank = share * cumulative[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds:
        if cumulative[bound] >= rank:
            if bound == float("inf"):
                return lower
            inside = cumulative[bound] - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 0.0)
        lower, below = bound, cumulative[bound]
    return lower


def gauge(metrics_text: str, name: str) -> float | None:
    """The value of a metric without labels; None where it is not there."""
    for family in text_string_to_metric_families(metrics_text):
        for sample in family.samples:
            if sample.name == name:
                return float(sample.value)
    return None
