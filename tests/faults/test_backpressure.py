"""A model that is ten times too slow makes the worker fall behind, never grow; a model that is well again, catch up."""

import re
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream.broker import BrokerSettings, admin_client
from stream.scoring_service import RESULTS_WAITING
from stream.topics import Topics
from tests.faults.conftest import Scale
from tests.faults.exact import require_exact
from tests.integration.logs import wait_until
from tests.integration.streaming import StartWorker, as_records, documents, publish, wait_for_documents
from tests.integration.stub_worker import Mood

BATCH = 64
USUAL_SECONDS = 0.02
"""Of a batch, that is some 3,000 documents a second."""

TEXT = "Shares of a lender fell after it said that deposits had left it. " * 60
"""Four kilobytes, so that a queue without a bound is soon seen."""

FETCHED_BYTES = 1 << 20
"""aiokafka's `max_partition_fetch_bytes`: of a partition that is not read it holds one answer, and its records."""

BATCHES_IN_FLIGHT = 3 + 2 * RESULTS_WAITING
"""One that is fetched, one that waits, one that is scored; those that are scored and wait, and those being written."""


class Seen(NamedTuple):
    """What a worker shows of itself at one moment."""

    resident_mb: float
    lag: float
    """Documents that scoring has not done."""


def look_at(worker: "subprocess.Popen[str]", port: int) -> Seen:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        families = text_string_to_metric_families(page.read().decode())
    lags = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "finsentry_lag_documents" and sample.labels["stage"] == "scoring"
    ]
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    assert found is not None
    return Seen(int(found[1]) / 1024, sum(lags))


def members(kafka: BrokerSettings, topics: Topics) -> list[str]:
    """The ids of those who read `documents`; one that was put out and joins again has another."""
    group = topics.group("scoring")
    with admin_client(kafka) as client:
        described: dict[str, Any] = client.describe_groups([group])
    return [member["member_id"] for member in described[group]["members"]]


@pytest.mark.timeout(600)
def test_a_model_ten_times_too_slow(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, scale: Scale, tmp_path: Path
) -> None:
    mood, log = tmp_path / "mood.json", tmp_path / "worker-0.log"
    Mood(seconds_a_batch=USUAL_SECONDS).write(mood)
    # A machine that stands still for some seconds is no member that does.
    worker = start_worker(mood=str(mood), stream={"batch_documents": BATCH, "session_timeout_seconds": 30})
    warm = 4000
    items = as_records(documents(warm + scale.backlog, text=TEXT))
    publish(kafka, topics, items[:warm])
    wait_for_documents(kafka, topics, warm, seconds=60)
    serves = re.search(r"serving metrics role=worker port=(\d+)", log.read_text())
    assert serves is not None
    port = int(serves[1])
    wait_until(lambda: look_at(worker, port).lag == 0, seconds=20, what="it has caught up")
    idle, joined = look_at(worker, port), members(kafka, topics)

    Mood(seconds_a_batch=10 * USUAL_SECONDS).write(mood)
    slow: list[Seen] = []
    lags: list[float] = []
    parts = 5
    for part in range(parts):
        first, last = (warm + scale.backlog * step // parts for step in (part, part + 1))
        publish(kafka, topics, items[first:last])
        until = monotonic() + scale.slow_seconds / parts
        before = lags[-1] if lags else 0.0
        while monotonic() < until or slow[-1].lag <= before:
            assert monotonic() < until + 60, "it does not show that it falls behind"
            slow.append(look_at(worker, port))
            sleep(0.2)
        lags.append(slow[-1].lag)
    assert members(kafka, topics) == joined, "it was put out of its group"
    assert log.read_text().count("assigned stage=scoring") == 1

    record_mb = len(items[0][1]) / 1e6
    queues_mb = 2 * topics.documents.partitions * FETCHED_BYTES / 1e6 + 3 * BATCHES_IN_FLIGHT * BATCH * record_mb
    peak = max(seen.resident_mb for seen in slow)
    sys.stdout.write(
        f"\nidle {idle.resident_mb:.0f} MB, peak {peak:.0f} MB with {slow[-1].lag:,.0f} documents"
        f" ({slow[-1].lag * record_mb:.0f} MB) behind; the queues may hold {queues_mb:.0f} MB\n"
    )
    assert slow[-1].lag * record_mb > 0.3 * idle.resident_mb, "the test tests little"
    assert peak < 1.1 * idle.resident_mb + queues_mb

    Mood(seconds_a_batch=USUAL_SECONDS).write(mood)
    wait_for_documents(kafka, topics, len(items), seconds=60 + scale.backlog / 500)
    wait_until(lambda: look_at(worker, port).lag == 0, seconds=20, what="it has caught up")
    require_exact(kafka, topics, len(items))
