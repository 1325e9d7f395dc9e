"""A real worker says how far the stream is from what its bundle was made for."""

import re
import urllib.request

from deploy.local.processes import free_ports
from model.classifier import ENOUGH_TEXTS
from stream.broker import BrokerSettings
from stream.topics import Topics
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until
from tests.integration.streaming import as_records, documents, publish, wait_for_documents


def drifts(port: int) -> dict[str, float]:
    """The default bundle's gauge, by feature."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        shown = answer.read().decode()
    found = re.findall(r'^finsentry_input_drift_index{feature="(\w+)",language=""} (\S+)$', shown, re.MULTILINE)
    return {feature: float(value) for feature, value in found}


def test_a_worker_shows_the_drift_of_what_it_scores(
    kafka: BrokerSettings, topics: Topics, finsentry: Finsentry
) -> None:
    (port,) = free_ports(1)
    finsentry.environment["FINSENTRY_METRICS__WORKER"] = str(port)
    worker = finsentry.start("worker")
    wait_until(lambda: "ready role=worker" in worker.output(), seconds=60, what="the worker is ready")
    assert drifts(port) == {}

    publish(kafka, topics, as_records(documents(ENOUGH_TEXTS)))
    wait_for_documents(kafka, topics, ENOUGH_TEXTS, seconds=60)

    wait_until(lambda: bool(drifts(port)), seconds=40, what="the worker shows its drift")
    shown = drifts(port)
    assert shown.keys() == {"topics", "sentiments", "confidence", "lengths", "unknown"}
    assert shown["topics"] > 1  # all are about one lender
