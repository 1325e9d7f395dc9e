from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from tests.benchmarks.soak.plot import plot
from tests.benchmarks.soak.samples import Sample, parse, quantile, write_csv
from tests.benchmarks.soak.verdict import judge_counts, judge_growth, slope_an_hour


def run(change: Callable[[Sample], Sample] = lambda sample: sample) -> list[Sample]:
    """Ten flat minutes of two workers, changed as a test wants it."""
    return [
        change(
            Sample(
                seconds=5.0 * place,
                process=process,
                generation=0,
                resident_mb=300 + place % 3,
                handles=40 + place % 2,
                lag=100 + 10 * (place % 5),
                p50=0.2,
                p99=0.6,
            )
        )
        for place in range(120)
        for process in ("steady", "first")
    ]


def failing(samples: list[Sample]) -> list[str]:
    return [one.name for one in judge_growth(samples, warm_up=60, rate=100) if not one.holds]


def test_a_flat_run_holds() -> None:
    assert failing(run()) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("memory", lambda s: replace(s, resident_mb=s.resident_mb + s.seconds / 20)),
        ("handles", lambda s: replace(s, handles=s.handles + int(s.seconds / 60))),
        ("latency", lambda s: replace(s, p50=0.2 + s.seconds / 600)),
        ("p99", lambda s: replace(s, p99=0.6 + s.seconds / 100)),
        ("lag", lambda s: replace(s, lag=s.seconds)),
    ],
)
def test_what_grows_fails(name: str, change: Callable[[Sample], Sample]) -> None:
    assert failing(run(change)) == [name]


def test_what_happens_while_it_fills_up_and_spikes_at_kills_are_no_growth() -> None:
    def filling(sample: Sample) -> Sample:
        memory = 100.0 if sample.seconds < 60 else sample.resident_mb
        if sample.seconds % 60 == 0:
            return replace(sample, resident_mb=memory, lag=50_000, p50=8.0, p99=9.5)
        return replace(sample, resident_mb=memory)

    assert failing(run(filling)) == []


def test_what_a_kill_each_minute_costs_is_no_growth_of_the_p99_and_what_stays_after_the_kills_is() -> None:
    def dragged_out(sample: Sample, share: float) -> Sample:
        is_hit = sample.seconds % 60 < 60 * share and sample.seconds > 400
        return replace(sample, p99=9.5) if is_hit else sample

    assert failing(run(lambda sample: dragged_out(sample, 0.4))) == []
    assert failing(run(lambda sample: dragged_out(sample, 0.6))) == ["p99"]


@pytest.mark.parametrize(("last", "fails"), [(1.0, []), (1.4, []), (1.5, ["p99"])])
def test_a_p99_may_double_and_not_more(last: float, fails: list[str]) -> None:
    assert failing(run(lambda sample: replace(sample, p99=last) if sample.seconds > 400 else sample)) == fails


def test_who_counts_too_little_for_a_p99_fails() -> None:
    assert failing(run(lambda sample: replace(sample, p99=None))) == ["p99"]


def test_too_short_a_run_says_so() -> None:
    assert failing(run()[:30]) == ["samples"]


def test_a_slope_is_in_units_an_hour() -> None:
    assert slope_an_hour([0, 60, 120, 180, 240], [1, 2, 3, 4, 100]) == pytest.approx(60)
    assert slope_an_hour([5], [1]) == 0


def test_a_document_that_is_missing_or_a_window_that_differs_fails() -> None:
    exact = {"published": 10, "scored": 10, "accounted": 10, "letters": 0}
    assert all(one.holds for one in judge_counts(**exact, different=[]))
    assert [one.name for one in judge_counts(**exact | {"scored": 9}, different=[]) if not one.holds] == ["scored"]
    assert [one.name for one in judge_counts(**exact, different=[(0, "a")]) if not one.holds] == ["windows"]


def test_metrics_are_read_as_prometheus_reads_them() -> None:
    registry = CollectorRegistry()
    lag = Gauge("finsentry_lag_documents", "", ["stage", "partition"], registry=registry)
    lag.labels("scoring", "0").set(5)
    lag.labels("aggregation", "1").set(2)
    Gauge("finsentry_open_buckets", "", registry=registry).set(7)
    seconds = Histogram("finsentry_document_to_window_seconds", "", buckets=(0.1, 0.2, 0.4), registry=registry)
    seconds.observe(5)
    before = parse(generate_latest(registry).decode())
    for value in (0.15, 0.16, 0.17, 0.3):
        seconds.observe(value)
    after = parse(generate_latest(registry).decode())
    assert (after.lag, after.open_buckets) == (7, 7)
    assert quantile(before.latencies, after.latencies, 0.75) == pytest.approx(0.2)
    assert quantile(before.latencies, after.latencies, 1.0) == pytest.approx(0.4)
    assert quantile({}, before.latencies, 0.5) == 0.4
    assert quantile(after.latencies, after.latencies, 0.5) is None


def test_a_run_is_written_and_drawn(tmp_path: Path) -> None:
    samples = [*run(), Sample(seconds=600, process="first", generation=1, resident_mb=90, handles=20)]
    write_csv(tmp_path / "samples.csv", samples)
    lines = (tmp_path / "samples.csv").read_text().splitlines()
    assert lines[0].startswith("seconds,process,generation,resident_mb,handles,lag")
    assert lines[-1] == "600,first,1,90,20,,,,"
    plot(tmp_path / "soak.png", samples, [300.0], title="a run")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
