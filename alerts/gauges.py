"""What the judge shows to Prometheus. Series of what no longer is are taken away, not left at their last value."""

from collections.abc import Iterable
from itertools import product
from typing import get_args

from prometheus_client import Gauge

from alerts import episode
from alerts.detector import Verdict
from model.labels import TOPICS
from stream import metrics
from stream.records import Alert, Severity


def begin_counting() -> None:
    """Shows 0 alerts of each kind: Prometheus sees no increase in a series whose first value is 1 already."""
    for labels in product(TOPICS, (episode.SPIKE, episode.DRIFT), get_args(Severity)):
        metrics.ALERTS_STARTED.labels(*labels)


class Gauges:
    """The gauges of the alert service: the windows as they are, and the alerts that stand."""

    def __init__(self) -> None:
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}

    def show_windows(self, verdicts: Iterable[Verdict]) -> None:
        """Every topic in every window; a share of no stories has no value."""
        verdicts = list(verdicts)
        spoken = [verdict for verdict in verdicts if verdict.stories]
        self._show(metrics.SHARE, {(v.topic, v.window): v.share for v in spoken})
        self._show(metrics.LOWER_BOUND, {(v.topic, v.window): v.lower_bound for v in spoken})
        self._show(metrics.BASELINE, {(v.topic, v.window): v.baseline.mean for v in verdicts})
        self._show(metrics.STORIES, {(v.topic, v.window): v.stories for v in verdicts})
        self._show(metrics.DOCUMENTS, {(v.topic, v.window): v.documents for v in verdicts})

    def show_standing(self, alerts: Iterable[Alert]) -> None:
        """The alerts that stand."""
        self._show(metrics.ALERT_ACTIVE, {(a.topic, a.judge, a.severity, a.window): 1 for a in alerts})

    def _show(self, gauge: Gauge, values: dict[tuple[str, ...], float]) -> None:
        for labels in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(*labels)
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        self._shown[gauge] = set(values)
