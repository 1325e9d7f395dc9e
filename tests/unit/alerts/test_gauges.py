"""What Prometheus sees of the judge."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, Gauge

from alerts.gauges import Gauges
from alerts.judge import Judge
from alerts.service import AlertService
from alerts.settings import AlertSettings
from model.labels import TOPICS
from stream import metrics
from stream.broker import BrokerSettings
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings
from stream.windows import moment_of
from tests.unit.alerts import synthetic
from tests.unit.alerts.synthetic import EPOCH, even, table_of

LABELS = {"topic": "Financials", "window": "15m"}


@pytest.fixture(autouse=True)
def clean_gauges() -> Iterator[None]:
    yield
    for gauge in (metrics.SHARE, metrics.BASELINE, metrics.LOWER_BOUND, metrics.STORIES, metrics.DOCUMENTS):
        gauge.clear()
    metrics.ALERT_ACTIVE.clear()


def value(gauge: Gauge, labels: dict[str, str]) -> float | None:
    return REGISTRY.get_sample_value(gauge._name, labels)


def test_the_windows_are_shown_as_they_are() -> None:
    table, judge = table_of(even(0, 240, 2, 0.2)), Judge(synthetic.settings(), lateness_minutes=10)
    judge.advance(table, moment_of(EPOCH + 240))
    Gauges().show_windows(judge.verdicts(table))
    assert value(metrics.SHARE, LABELS) == pytest.approx(0.2)
    assert value(metrics.STORIES, LABELS) == 30
    assert value(metrics.BASELINE, LABELS) == pytest.approx(0.2, abs=0.02)
    assert value(metrics.LOWER_BOUND, LABELS) is not None


def test_a_window_without_stories_has_no_share() -> None:
    table, judge, gauges = table_of(even(0, 240, 2, 0.2)), Judge(synthetic.settings(), lateness_minutes=10), Gauges()
    for minutes in (240, 600):
        judge.advance(table, moment_of(EPOCH + minutes))
        gauges.show_windows(judge.verdicts(table))
    assert value(metrics.SHARE, LABELS) is None
    assert value(metrics.STORIES, LABELS) == 0


def test_an_alert_is_shown_while_it_stands_and_then_vanishes() -> None:
    crisis = even(0, 240, 2, 0.2) + even(240, 300, 2, 0.9) + even(300, 480, 2, 0.2)
    table, judge, gauges = table_of(crisis), Judge(synthetic.settings(), lateness_minutes=10), Gauges()
    labels = {**LABELS, "judge": "spike", "severity": "critical"}
    judge.advance(table, moment_of(EPOCH + 290))
    gauges.show_standing(judge.standing())
    assert value(metrics.ALERT_ACTIVE, labels) == 1
    judge.advance(table, moment_of(EPOCH + 480))
    gauges.show_standing(judge.standing())
    assert value(metrics.ALERT_ACTIVE, labels) is None


def test_alerts_that_began_are_counted_from_zero() -> None:
    metrics.ALERTS_STARTED.clear()
    AlertService(BrokerSettings(), Topics(TopicSettings()), AlertSettings(), StreamSettings())
    for topic in TOPICS:
        for labels in (("spike", "warning"), ("spike", "critical"), ("drift", "warning")):
            named = {"topic": topic, **dict(zip(("judge", "severity"), labels, strict=True))}
            assert REGISTRY.get_sample_value("finsentry_alerts_started_total", named) == 0
