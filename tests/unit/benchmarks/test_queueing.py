import pytest

from tests.benchmarks.queueing import BatchServer, simulate, single_latency

HOT_LOOP = BatchServer(fixed=0.005, each=0.001)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8, 0.95])
def test_the_formula_is_what_a_server_does_that_never_waits(load: float) -> None:
    rate = load / HOT_LOOP.each
    found = simulate(HOT_LOOP, rate, documents=200_000, seed=7, idle_rounds=True)
    assert found.mean_latency == pytest.approx(HOT_LOOP.mean_latency(rate), rel=0.03)


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.8, 0.95])
def test_a_server_that_waits_for_documents_is_no_slower(load: float) -> None:
    rate = load / HOT_LOOP.each
    found, restless = (
        simulate(HOT_LOOP, rate, documents=100_000, seed=7, idle_rounds=idle_rounds) for idle_rounds in (False, True)
    )
    assert found.mean_latency < 1.01 * restless.mean_latency
    if load >= 0.5:
        assert found.mean_latency > 0.9 * restless.mean_latency


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_one_document_at_a_time_is_a_queue_as_in_the_textbooks(load: float) -> None:
    found = simulate(BatchServer(fixed=0.001, each=0.0, limit=1), load / 0.001, documents=300_000, seed=3)
    assert found.mean_latency == pytest.approx(single_latency(load / 0.001, 0.001), rel=0.06)
    assert found.busy == pytest.approx(load, rel=0.02)


def test_a_limit_is_what_decides_the_highest_rate() -> None:
    server = BatchServer(fixed=0.01, each=0.001, limit=10)
    assert server.highest_rate == pytest.approx(500)
    below, above = (simulate(server, rate, documents=20_000, seed=1) for rate in (400, 600))
    assert below.p99 < 0.5
    assert above.mean_latency > 2  # it grows as long as one looks
    assert above.mean_batch == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("server", [HOT_LOOP, BatchServer(fixed=0.005, each=0.001, limit=4)])
def test_more_than_it_can_do_has_no_mean(server: BatchServer) -> None:
    with pytest.raises(ValueError, match="the queue has no end"):
        server.mean_latency(1.01 * server.highest_rate)
    with pytest.raises(ValueError, match="the queue has no end"):
        single_latency(100, 0.01)
