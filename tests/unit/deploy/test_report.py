from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from deploy.report import Report, gauge, latencies, latest_alerts, quantile
from stream.records import Alert

MOMENT = datetime(2020, 3, 2, tzinfo=UTC)
WHOLE = Report(
    rows=10,
    rejected=1,
    published=9,
    duplicates=2,
    counted=5,
    late=1,
    dead_lettered=1,
    documents_per_second=1.0,
    latency_seconds={},
    peak_memory_bytes={},
    alerts=[],
)


def alert(number: int, state: str = "firing") -> Alert:
    return Alert(
        id=str(number),
        topic="Macro",
        judge="spike",
        state=state,  # type: ignore[arg-type]
        severity="warning",
        window="1h",
        started_at=MOMENT.replace(day=number),
        evaluated_at=MOMENT,
        negative_stories=3,
        stories=4,
        documents=5,
        share=0.75,
        baseline=0.2,
        lower_bound=0.3,
        reason="because",
    )


def test_a_report_that_adds_up_has_no_gaps() -> None:
    assert WHOLE.gaps == []


@pytest.mark.parametrize("name", ["rows", "rejected", "published", "duplicates", "counted", "late", "dead_lettered"])
def test_one_document_more_or_less_anywhere_is_a_gap(name: str) -> None:
    for change in (-1, 1):
        assert replace(WHOLE, **{name: getattr(WHOLE, name) + change}).gaps


def test_an_alert_stands_once_with_its_last_record_in_the_order_of_starts() -> None:
    listed = latest_alerts([alert(2), alert(1), alert(2, "resolved")])
    assert [(item["id"], item["state"]) for item in listed] == [("1", "firing"), ("2", "resolved")]


@given(st.lists(st.floats(0, 99, allow_nan=False), min_size=1), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_value_of_that_rank(values: list[float], share: float) -> None:
    bounds = [1.0, 5.0, 20.0, 100.0, float("inf")]
    cumulative = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
    estimate = quantile(share, cumulative)
    assert estimate is not None
    at_or_below = sum(value <= next(bound for bound in bounds if bound >= estimate) for value in values)
    assert at_or_below >= share * len(values)


def test_latencies_are_taken_over_all_workers() -> None:
    texts = []
    for value in (0.15, 0.35):
        registry = CollectorRegistry()
        histogram = Histogram(
            "finsentry_document_to_window_seconds", "x", buckets=(0.1, 0.2, 0.3, 0.4), registry=registry
        )
        for _ in range(10):
            histogram.observe(value)
        texts.append(generate_latest(registry).decode())
    assert latencies(texts) == pytest.approx({"p50": 0.2, "p95": 0.39, "p99": 0.398})
    assert latencies([]) == {"p50": None, "p95": None, "p99": None}


def test_a_gauge_is_read_by_its_name() -> None:
    registry = CollectorRegistry()
    Gauge("finsentry_judged_timestamp_seconds", "x", registry=registry).set(5)
    text = generate_latest(registry).decode()
    assert gauge(text, "finsentry_judged_timestamp_seconds") == 5
    assert gauge(text, "another") is None


def test_a_replay_that_was_stopped_is_no_success_though_its_sums_add_up() -> None:
    (gap,) = replace(WHOLE, complete=False).gaps
    assert gap == "the replay was stopped: 9 of 10 published, 5 counted"
