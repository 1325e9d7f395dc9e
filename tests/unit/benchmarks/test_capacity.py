from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.capacity import LOADS, Deployment, Rates, main, need, table, windows_records

ROUNDING = 1 + 1e-9


@given(load=st.floats(10, 2e6), factor=st.floats(1.1, 10))
def test_more_documents_never_need_less(load: float, factor: float) -> None:
    few, many = need(load), need(load * factor)
    for field in ("classifier_cores", "gpus", "stream_cores", "workers", "partitions", "broker_in", "disk"):
        assert getattr(many, field) >= getattr(few, field), field


@given(load=st.sampled_from(LOADS))
def test_cores_are_enough_at_the_peak(load: int) -> None:
    rates, on = Rates(), Deployment()
    found = need(load, rates, on)
    assert load * on.peak * rates.classify <= on.busy * found.classifier_cores * ROUNDING
    assert load * on.peak * rates.stream <= on.busy * found.stream_cores * ROUNDING
    assert load * on.peak <= on.busy * found.gpus * rates.gpu_texts * ROUNDING


@given(
    documents=st.floats(1, 1e6),
    partitions=st.integers(1, 1024),
    flush=st.sampled_from([0.2, 1.0, 10.0]),
)
def test_windows_have_no_more_records_than_documents_or_cells_ask_for(
    documents: float, partitions: int, flush: float
) -> None:
    on = Deployment(flush_seconds=flush)
    records = windows_records(documents, partitions, on)
    cells = on.topics * on.active_minutes
    assert records <= min(2 * documents, partitions * (cells + 1) / flush) * ROUNDING


def test_a_longer_flush_is_what_takes_load_off_the_readers() -> None:
    often, seldom = need(1e6), need(1e6, on=replace(Deployment(), flush_seconds=10.0))
    assert seldom.reader_cores < often.reader_cores / 20
    assert seldom.latency > often.latency


def test_disk_is_documents_by_retention_and_copies() -> None:
    rates = replace(Rates(), bucket_bytes=0.0)
    found = need(1000, rates, Deployment(documents_days=2, replication=2))
    assert found.disk == pytest.approx(1000 * 2 * 86_400 * 2 * (rates.document_bytes + rates.scored_bytes))


def test_a_reader_holds_sums_by_minute_and_what_is_open_by_partition() -> None:
    rates = Rates(bucket_memory=0, open_in_reader=0, closed_in_reader=100)
    assert need(1000, rates, Deployment(topics=1, windows_days=2)).reader_memory == 2 * 1440 * (100 + 4 / 8)
    rates = Rates(bucket_memory=1000, open_in_reader=10, closed_in_reader=0)
    found = need(1000, rates, Deployment(topics=1, active_minutes=3, lateness_minutes=58, windows_days=1e-9))
    assert found.reader_memory == pytest.approx(60 * 4 * 10 + 3 * 4 * 1000)


def test_the_command_prints_a_column_a_load(capsys: pytest.CaptureFixture[str]) -> None:
    main(["500", "--classify", "0.001", "--topics", "3"])
    said = capsys.readouterr().out.splitlines()
    assert said == table([need(500, replace(Rates(), classify=0.001), Deployment(topics=3))])
    assert said[0] == "| documents/s | 500 |"
