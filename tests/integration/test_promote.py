"""Promotions on the real broker: bundles are swapped under load, and each document is counted once, rightly named."""

import json
import shutil
import signal
import subprocess
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import msgspec
import pytest

from deploy.local.processes import free_ports
from model.bundle import DEFAULT_BUNDLE, Bundle, Temperatures, write_manifest
from stream.broker import BrokerSettings
from stream.control import progress_of, promote, roll_back, shadow
from stream.control_desk import ControlDesk
from stream.records import BundleRef, Disagreement, Document, Progress, Promotion, ScoredDocument
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.commands import Finsentry
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


def make_live(desk: ControlDesk, bundle: BundleRef, language: str = "") -> Promotion:
    promotion = promote(bundle, desk.table.standing("live", language), now(), language)
    desk.publish(promotion)
    return promotion


def answers(desk: ControlDesk, promotion: Promotion) -> list[Progress]:
    """What workers say of the promotion now."""
    desk.read()
    found = [progress_of(heard.report, promotion) for heard in desk.table.workers.values()]
    return [progress for progress in found if progress is not None]


def wait_for_answers(desk: ControlDesk, promotion: Promotion, *states: str, seconds: float = 90) -> list[Progress]:
    """Waits until the workers answered like this, one state a worker."""
    wait_until(
        lambda: Counter(answer.state for answer in answers(desk, promotion)) == Counter(states),
        seconds=seconds,
        what=f"workers answer {states}",
    )
    return answers(desk, promotion)


def wait_for_workers(desk: ControlDesk, count: int) -> None:
    """Waits until so many workers report: what is asked before is not theirs to answer."""

    def there() -> bool:
        desk.read()
        return len(desk.table.workers) == count

    wait_until(there, seconds=60, what=f"{count} workers report")


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
    slow = {"seconds_a_batch": 0.05, "version": OWN, "stream": {"batch_documents": 32}}
    workers = [start_worker(**slow), start_worker(**slow)]
    wait_for_workers(desk, 2)
    with Load(kafka, topics) as load:
        for bundle in (stub_bundle("good-1"), stub_bundle("good-2"), DAMAGED, stub_bundle("good-3")):
            promotion = make_live(desk, bundle)
            wait_for_answers(desk, promotion, *["refused" if bundle is DAMAGED else "live"] * 2)
            if bundle is not DAMAGED:
                scores = f"{bundle.version} scores"
                wait_until(lambda: bundle.version in models(kafka, topics), seconds=30, what=scores)  # noqa: B023

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
        total = load.ended()
    wait_for_documents(kafka, topics, total, seconds=120)

    buckets, checkpoints = read_windows(kafka, topics)
    assert sum(bucket.documents for bucket in buckets.values()) == total
    assert counts(buckets) == counts(offline(kafka, topics))
    assert Counter(c.late + c.dead for c in checkpoints.values()) == Counter({0: len(checkpoints)})
    kept = scored_once(kafka, topics)
    assert len(kept) == len({document.id for document in kept}) == total
    assert_rightly_named(kept)
    by_bundle = Counter(document.model for document in kept)
    assert by_bundle.keys() <= {OWN, "good-1", "good-2", "good-3"}
    assert {"good-1", "good-2", "good-3"} <= by_bundle.keys()


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
    assert 'finsentry_model_info{language="",model="good-1",provider="cpu"} 1.0' in shown
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
    counted = f"finsentry_shadow_documents_total {float(compared.documents)}"
    wait_until(lambda: counted in scrape(port), seconds=10, what=counted)
    assert 'finsentry_shadow_disagreement_ratio{head="topic"}' in scrape(port)

    desk.end_shadow()
    (answer,) = wait_for_answers(desk, beside, "shadowed")

    assert answer.disagreement == compared
    assert compared.documents > 0
    # Independent hashes: topics agree in 1 of 20, sentiments in 1 of 3, uniform numbers differ by a third.
    assert 0.8 < compared.topics / compared.documents <= 1.0
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
    wait_for_workers(desk, 1)
    short = shadow(stub_bundle("good-1"), now(), now() + timedelta(seconds=12))
    desk.publish(short)
    wait_for_answers(desk, short, "shadowed")

    bad = shadow(DAMAGED, now(), now() + timedelta(minutes=5))
    desk.publish(bad)
    (answer,) = wait_for_answers(desk, bad, "refused")
    assert answer.reason == "damaged-1: damaged; restore it"

    stopped(worker, desk)


@pytest.mark.timeout(240)
def test_the_command_promotes_shadows_takes_back_and_rolls_back(
    start_worker: StartWorker, finsentry: Finsentry, desk: ControlDesk
) -> None:
    version = Bundle.load(DEFAULT_BUNDLE).manifest.version
    as_stub = ("promote", DEFAULT_BUNDLE, "--json", "--seen-as")
    start_worker(version=OWN)
    wait_for_workers(desk, 1)

    beside = said(finsentry.run(*as_stub, "{}", "--shadow", "--for", "1"), 1)
    assert [worker["state"] for worker in beside["workers"]] == ["shadowed"]
    assert beside["disagreement"]["documents"] == 0

    done = said(finsentry.run(*as_stub, "{}"), 0)
    assert (done["version"], done["taken_back"]) == (version, False)
    assert [(worker["state"], worker["model"]) for worker in done["workers"]] == [("live", version)]

    refused = said(finsentry.run(*as_stub, '{"damaged": true}'), 1)
    assert refused["taken_back"]
    assert [(worker["state"], worker["model"]) for worker in refused["workers"]] == [("refused", version)]
    assert "damaged; restore it" in refused["workers"][0]["reason"]

    status = finsentry.run("promote", "--status")
    assert f"live: {version} in {{}}" in status.stdout
    assert f"scoring with {version}" in status.stdout

    back = said(finsentry.run("promote", "--rollback", "--json"), 0)
    assert [(worker["state"], worker["model"]) for worker in back["workers"]] == [("live", OWN)]
    assert said(finsentry.run("promote", "--status", "--json"), 0)["live"].get("bundle") is None
    again = finsentry.run("promote", "--rollback")
    assert again.returncode == 2
    assert "nothing to go back to" in again.stderr


class Load:
    """Documents that are published one handful after the other, from when it is entered until it is `ended`."""

    def __init__(self, kafka: BrokerSettings, topics: Topics) -> None:
        self.published = 0
        self._kafka = kafka
        self._topics = topics
        self._records = as_records(documents(20_000))
        self._over = Event()
        self._thread = Thread(target=self._publish)

    def ended(self) -> int:
        """Ends it and says how many there are."""
        self._over.set()
        self._thread.join()
        return self.published

    def _publish(self) -> None:
        while not self._over.wait(0.1):
            handful = self._records[self.published : self.published + 50]
            publish(self._kafka, self._topics, handful)
            self.published += len(handful)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended()


@pytest.mark.timeout(240)
def test_a_real_bundle_goes_into_a_real_worker_under_load(
    kafka: BrokerSettings, topics: Topics, finsentry: Finsentry, tmp_path: Path
) -> None:
    folder = tmp_path / "candidate"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    old = Bundle.load(folder).manifest
    new = write_manifest(folder, msgspec.structs.replace(old, version="candidate", temperatures=Temperatures(topic=9)))
    finsentry.environment["FINSENTRY_METRICS__WORKER"] = "0"
    worker = finsentry.start("worker")
    wait_until(lambda: "ready role=worker" in worker.output(), seconds=60, what="the worker is ready")

    with Load(kafka, topics) as load:
        beside = finsentry.start("promote", folder, "--shadow", "--for", "6")
        wait_until(lambda: beside.exit_code is not None, seconds=60, what="the shadow ends")
        assert "get another topic" in beside.output()
        before = load.published
        done = finsentry.run("promote", folder)
        assert before < load.published, "nothing was published while the bundle was promoted"
        wait_until(lambda: new.version in models(kafka, topics), seconds=30, what="the new bundle scores")
        total = load.ended()

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"scoring with {new.version}" in done.stdout
    wait_for_documents(kafka, topics, total, seconds=90)
    kept = scored_once(kafka, topics)
    assert len(kept) == len({document.id for document in kept}) == total
    by_bundle = models(kafka, topics)
    assert by_bundle.keys() == {old.version, new.version}
    assert by_bundle.total() == total
    in_turn: dict[int, list[str]] = defaultdict(list)
    for record in read_topic(kafka, topics.scored):
        in_turn[record.partition].append(msgspec.json.decode(record.value, type=ScoredDocument).model)
    for named in in_turn.values():
        assert named == sorted(named, key=[old.version, new.version].index), "one swap, and no way back"


def models(kafka: BrokerSettings, topics: Topics) -> Counter[str]:
    """How many documents each bundle scored."""
    return Counter(document.model for document in scored_once(kafka, topics))


ENGLISH = "Shares of a lender fell sharply"
CHINESE = "银行股价大跌"
GERMAN = "Aktien einer Bank fallen nach Gewinnwarnung"


def in_three_languages(start: int, end: int) -> list[Document]:
    texts = (ENGLISH, CHINESE, GERMAN)
    return [
        msgspec.structs.replace(one, text=f"{texts[place % 3]} {place}")
        for place, one in enumerate(documents(end))
        if place >= start
    ]


def test_documents_go_to_the_bundle_of_their_language_and_a_promotion_to_the_documents_of_its(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, desk: ControlDesk
) -> None:
    (port,) = free_ports(1)
    start_worker(version=OWN, languages=["zh"], port=port)
    publish(kafka, topics, as_records(in_three_languages(0, 300)))
    wait_for_documents(kafka, topics, 300, seconds=40)
    promotion = make_live(desk, stub_bundle("chinese-2"), "zh")
    wait_for_answers(desk, promotion, "live")
    publish(kafka, topics, as_records(in_three_languages(300, 600)))
    wait_for_documents(kafka, topics, 600, seconds=40)

    kept = scored_once(kafka, topics)
    assert len(kept) == 600
    assert_rightly_named(kept)
    found = Counter((one.title.rpartition(" ")[0], one.language, one.fallback, one.model) for one in kept)
    assert found == {
        (ENGLISH, "en", False, OWN): 200,
        (GERMAN, "de", True, OWN): 200,
        (CHINESE, "zh", False, f"{OWN}-zh"): 100,
        (CHINESE, "zh", False, "chinese-2"): 100,
    }
    buckets, _ = read_windows(kafka, topics)
    assert counts(buckets) == counts(offline(kafka, topics))
    shown = scrape(port)
    assert f'finsentry_model_info{{language="",model="{OWN}",provider="cpu"}} 1.0' in shown
    assert 'finsentry_model_info{language="zh",model="chinese-2",provider="cpu"} 1.0' in shown
    assert 'finsentry_documents_scored_total{model="chinese-2"} 100.0' in shown
    assert 'finsentry_documents_fallback_total{language="de"} 200.0' in shown
    assert 'finsentry_documents_fallback_total{language="en"}' not in shown

    (refusal,) = wait_for_answers(desk, make_live(desk, stub_bundle("german-1"), "de"), "refused")
    assert "model.languages.de" in refusal.reason
    (heard,) = desk.table.workers.values()
    assert (heard.report.model, heard.report.models) == (OWN, {"zh": "chinese-2"})


def test_the_command_promotes_and_takes_back_the_bundle_of_one_language(
    finsentry: Finsentry, desk: ControlDesk, start_worker: StartWorker, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(DEFAULT_BUNDLE, tmp_path / "zh"))
    version = write_manifest(folder, msgspec.structs.replace(Bundle.load(folder).manifest, language="zh")).version
    start_worker(version=OWN, languages=["zh"])
    wait_for_answers(desk, make_live(desk, stub_bundle("chinese-1"), "zh"), "live")
    as_stub = ("promote", folder, "--json", "--language", "zh", "--seen-as")

    (worker,) = said(finsentry.run(*as_stub, "{}", "--wait", "20"), 0)["workers"]
    assert (worker["state"], worker["model"]) == ("live", version)
    status = finsentry.run("promote", "--status").stdout
    assert f"live in zh: {version}" in status
    assert f"scoring with {OWN}  zh with {version}" in status
    assert said(finsentry.run("promote", "--rollback", "--language", "zh", "--json"), 0)["version"] == "chinese-1"
    desk.read()
    (heard,) = desk.table.workers.values()
    assert (heard.report.model, heard.report.models) == (OWN, {"zh": "chinese-1"})


def said(done: "subprocess.CompletedProcess[str]", code: int) -> Any:
    """The JSON that the command printed."""
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def stopped(worker: "subprocess.Popen[str]", desk: ControlDesk) -> None:
    """Ends the worker, which takes its report with it."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
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
