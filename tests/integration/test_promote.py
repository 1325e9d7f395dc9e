"""Promotions on the real broker: bundles are swapped under load, and each document is counted once, rightly named."""

import signal
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from time import sleep

import msgspec
import pytest

from deploy.local.processes import free_ports
from stream.broker import BrokerSettings
from stream.control import promote, roll_back, shadow
from stream.control_desk import ControlDesk
from stream.records import BundleRef, Disagreement, Progress, Promotion, ScoredDocument
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.logs import read_windows, wait_until
from tests.integration.streaming import (
    StartWorker,
    as_records,
    counts,
    documents,
    offline,
    publish,
    wait_for_documents,
)
from tests.integration.stub_worker import label, stub_bundle

OWN = "own-1"
DAMAGED = stub_bundle("damaged-1", damaged=True)
FAILING = stub_bundle("failing-1", fails_on="of a lender")
"""Passes its canary, and fails on every document of these tests."""


@pytest.fixture
def desk(kafka: BrokerSettings, topics: Topics) -> Iterator[ControlDesk]:
    with ControlDesk(kafka, topics) as opened:
        yield opened


def now() -> datetime:
    return datetime.now(UTC)


def make_live(desk: ControlDesk, bundle: BundleRef) -> Promotion:
    promotion = promote(bundle, desk.table.live, now())
    desk.publish(promotion)
    return promotion


def answers(desk: ControlDesk, promotion: Promotion) -> list[Progress]:
    """What workers say of the promotion now."""
    desk.read()
    found = [getattr(heard.report, promotion.mode) for heard in desk.table.workers.values()]
    return [progress for progress in found if progress is not None and progress.promotion == promotion.id]


def wait_for_answers(desk: ControlDesk, promotion: Promotion, *states: str, seconds: float = 30) -> list[Progress]:
    """Waits until the workers answered like this, one state a worker."""
    wait_until(
        lambda: Counter(answer.state for answer in answers(desk, promotion)) == Counter(states),
        seconds=seconds,
        what=f"workers answer {states}",
    )
    return answers(desk, promotion)


def scored_once(kafka: BrokerSettings, topics: Topics) -> list[ScoredDocument]:
    """The records that readers of `scored` keep."""
    highest: dict[int, int] = {}
    kept = []
    for record in read_topic(kafka, topics.scored):
        document = msgspec.json.decode(record.value, type=ScoredDocument)
        if document.origin > highest.get(record.partition, -1):
            highest[record.partition] = document.origin
            kept.append(document)
    return kept


def assert_rightly_named(kept: list[ScoredDocument]) -> None:
    """Each record's labels are those of the bundle that it names."""
    for document in kept:
        expected = label(document.model, document.title)
        assert (document.topic, document.sentiment) == (expected.topic, expected.sentiment)


@pytest.mark.timeout(240)
def test_swaps_under_load_lose_nothing_count_nothing_twice_and_name_every_document(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, desk: ControlDesk
) -> None:
    total = 16_000
    slow = {"seconds_a_batch": 0.05, "version": OWN, "stream": {"batch_documents": 32}}
    workers = [start_worker(**slow), start_worker(**slow)]
    load = Thread(target=publish, args=(kafka, topics, as_records(documents(total))))
    load.start()

    first = make_live(desk, stub_bundle("good-1"))
    wait_for_answers(desk, first, "live", "live")
    for bundle in (stub_bundle("good-2"), DAMAGED, stub_bundle("good-3")):
        promotion = make_live(desk, bundle)
        wait_for_answers(desk, promotion, *["refused" if bundle is DAMAGED else "live"] * 2)
        sleep(0.5)

    failing = make_live(desk, FAILING)
    taken_back = wait_for_answers(desk, failing, "refused", "refused")
    assert all("failed in its first batches" in answer.reason for answer in taken_back)
    assert {heard.report.model for heard in desk.table.workers.values()} == {"good-3"}

    workers[0].send_signal(signal.SIGKILL)
    back = roll_back(failing, now())
    assert back is not None
    desk.publish(back)
    wait_for_answers(desk, back, "live")
    start_worker(**slow)
    wait_for_answers(desk, back, "live", "live")
    load.join()
    wait_for_documents(kafka, topics, total, seconds=120)

    buckets, checkpoints = read_windows(kafka, topics)
    assert sum(bucket.documents for bucket in buckets.values()) == total
    assert counts(buckets) == counts(offline(kafka, topics))
    assert Counter(c.late + c.dead for c in checkpoints.values()) == Counter({0: len(checkpoints)})
    kept = scored_once(kafka, topics)
    assert len(kept) == len({document.id for document in kept}) == total
    assert_rightly_named(kept)
    models = Counter(document.model for document in kept)
    assert models.keys() <= {OWN, "good-1", "good-2", "good-3"}
    assert {"good-1", "good-2", "good-3"} <= models.keys()


def test_a_worker_that_starts_later_comes_up_with_what_is_live(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, desk: ControlDesk
) -> None:
    live = make_live(desk, stub_bundle("good-1"))
    start_worker(version=OWN)
    publish(kafka, topics, as_records(documents(300)))
    wait_for_documents(kafka, topics, 300, seconds=40)

    wait_for_answers(desk, live, "live")
    assert {document.model for document in scored_once(kafka, topics)} == {"good-1"}


def test_a_worker_that_cannot_load_what_is_live_says_so_and_takes_what_was_live_before(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, desk: ControlDesk
) -> None:
    (port,) = free_ports(1)
    make_live(desk, stub_bundle("good-1"))
    desk.read()
    live = make_live(desk, DAMAGED)
    start_worker(version=OWN, port=port)
    (answer,) = wait_for_answers(desk, live, "refused")
    assert answer.reason == "damaged-1: damaged; restore it"

    shown = scrape(port)
    assert 'finsentry_model_info{model="good-1",provider="cpu"} 1.0' in shown
    assert OWN not in shown
    assert "finsentry_promotion_refused 1.0" in shown
    assert 'finsentry_promotions_total{outcome="refused"} 1.0' in shown


def test_a_shadow_scores_beside_the_live_one_and_changes_nothing(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, desk: ControlDesk
) -> None:
    (port,) = free_ports(1)
    start_worker(version=OWN, port=port, stream={"batch_documents": 50})
    beside = shadow(stub_bundle("good-1"), now(), now() + timedelta(minutes=5))
    desk.publish(beside)
    wait_for_answers(desk, beside, "shadowing")
    publish(kafka, topics, as_records(documents(1000)))
    wait_for_documents(kafka, topics, 1000, seconds=40)
    wait_until(lambda: seen(desk, beside).documents + seen(desk, beside).skipped == 1000, seconds=10, what="compared")
    compared = seen(desk, beside)
    assert "finsentry_shadow_documents_total " + f"{float(compared.documents)}" in scrape(port)
    assert 'finsentry_shadow_disagreement_ratio{head="topic"}' in scrape(port)

    desk.end("shadow")
    (answer,) = wait_for_answers(desk, beside, "shadowed")

    assert answer.disagreement == compared
    assert compared.documents > 0
    # Independent hashes: topics agree in 1 of 20, sentiments in 1 of 3, uniform numbers differ by a third.
    assert 0.8 < compared.topics / compared.documents < 1.0
    assert 0.5 < compared.sentiments / compared.documents < 0.8
    assert 0.2 < compared.negative / compared.documents < 0.45
    kept = scored_once(kafka, topics)
    assert {document.model for document in kept} == {OWN}
    assert_rightly_named(kept)
    assert "finsentry_shadow_disagreement_ratio{" not in scrape(port)


def test_a_shadow_that_nobody_ends_ends_by_itself_and_one_that_fails_is_refused(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, desk: ControlDesk
) -> None:
    worker = start_worker(version=OWN)
    short = shadow(stub_bundle("good-1"), now(), now() + timedelta(seconds=8))
    desk.publish(short)
    wait_for_answers(desk, short, "shadowed")

    bad = shadow(DAMAGED, now(), now() + timedelta(minutes=5))
    desk.publish(bad)
    (answer,) = wait_for_answers(desk, bad, "refused")
    assert answer.reason == "damaged-1: damaged; restore it"

    stopped(worker, desk)


def stopped(worker: "subprocess.Popen[str]", desk: ControlDesk) -> None:
    """Ends the worker, which takes its report with it."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    desk.read()
    assert desk.table.workers == {}


def seen(desk: ControlDesk, promotion: Promotion) -> Disagreement:
    """What the one worker has found so far."""
    (answer,) = answers(desk, promotion)
    return answer.disagreement or Disagreement()


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text
