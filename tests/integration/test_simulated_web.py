"""The simulated web as a process of its own, crawled by the real sources and read by the real classifier."""

import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.plans import answers
from deploy.local.processes import Process, free_ports
from deploy.local.simulation.newsroom import Item, items
from deploy.local.simulation.outlets import OUTLETS, SOCIAL
from deploy.local.simulation.phases import Course
from deploy.local.simulation.scenario import CRISIS_TOPIC, Scenario
from deploy.local.simulation.sources import simulation_settings
from ingest.article import text_of_page
from ingest.entries import Source
from ingest.http import Fetcher
from ingest.settings import FeedSource, IngestSettings
from ingest.sources.feeds import Feed
from ingest.sources.json_api import JsonApi
from model.classifier import Classifier
from model.settings import ModelSettings
from stream.records import Document
from tests.integration.logs import wait_until

HOST = "127.0.0.1"
STOPS_WITHIN = 30.0
CROWDED = Scenario(seed=77, rate=20, course=Course(1, 600), history_seconds=600)
"""Twice as busy as it is by default, and in the middle of a run."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a simulated web in a run."""
    (port,) = free_ports(1)
    options = ["--seed", "77", "--rate", "20", "--crisis-start", "1", "--crisis-end", "600", "--history-minutes", "10"]
    command = [sys.executable, "-m", "deploy.local.simulation", "--port", str(port), *options]
    process = Process(command, log=tmp_path / "simulation.log")
    address = f"{HOST}:{port}"
    try:
        wait_for(address)
        yield address
    finally:
        process.stop()


def wait_for(address: str) -> None:
    wait_until(lambda: answers(f"http://{address}/ready"), seconds=20, what="the simulated web answers")


def make_sources(settings: IngestSettings) -> list[Source]:
    fetcher = Fetcher(settings)
    return [
        Feed(source, settings, fetcher) if isinstance(source, FeedSource) else JsonApi(source, settings, fetcher)
        for source in settings.sources
    ]


def test_polls_of_seconds_crawl_everything_that_a_run_publishes(web: str) -> None:
    host, _, port = web.partition(":")
    epoch = httpx.get(f"http://{web}/ready").json()["started"]
    sources = make_sources(simulation_settings(host, int(port)))
    crawled: dict[str, set[str]] = defaultdict(set)
    for _ in range(5):
        time.sleep(2)
        asked = time.time()
        for source in sources:
            for found in source.read():
                assert isinstance(found, Document), found
                crawled[source.name].add(found.url.split("/")[4])
    published: dict[str, set[str]] = defaultdict(set)
    for second in range(int(asked) - epoch):
        for item in items(CROWDED, second):
            published[item.draft.outlet].add(f"{epoch + second}-{item.number}")
    assert set(published) == {outlet.key for outlet in OUTLETS} | {SOCIAL}
    for name, tokens in published.items():
        assert tokens <= crawled[name], name


def test_a_crawled_document_is_what_was_written(web: str) -> None:
    host, _, port = web.partition(":")
    epoch = httpx.get(f"http://{web}/ready").json()["started"]
    settings = simulation_settings(host, int(port))
    for source in make_sources(settings)[:2]:
        for document in [found for found in source.read() if isinstance(found, Document)][:20]:
            second, number = (int(part) for part in document.url.split("/")[4].split("-"))
            draft = items(CROWDED, second - epoch)[number].draft
            assert (document.title, document.text) == (draft.story.title, draft.story.summary)
            page = httpx.get(document.url)
            assert draft.story.paragraphs[0] in text_of_page(page.content, document.url)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(tmp_path: Path, how: signal.Signals) -> None:
    (port,) = free_ports(1)
    process = Process(
        [sys.executable, "-m", "deploy.local.simulation", "--port", str(port)], log=tmp_path / "simulation.log"
    )
    try:
        wait_for(f"{HOST}:{port}")
        os.killpg(process.pid, how)
        wait_until(lambda: not process.running, seconds=STOPS_WITHIN, what="the simulated web has ended")
    finally:
        process.stop()


def read_by_the_classifier(scenario: Scenario, start: int, end: int) -> dict[str, Counter[str]]:
    """Sentiments of the stories published in [start, end), copies left out, by the topic that the classifier sees."""
    published: list[Item] = [item for second in range(start, end) for item in items(scenario, second)]
    heads = [item.draft for item in published if not item.draft.copy]
    texts = [f"{d.story.title}. {d.story.summary}" if d.story.summary else d.story.title for d in heads]
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    with Classifier.load(ModelSettings(threads=1)) as classifier:
        for prediction in classifier.classify(texts):
            seen[prediction.topic][prediction.sentiment] += 1
    return seen


def share(seen: Counter[str]) -> float:
    return seen["negative"] / seen.total() if seen else 0.0


def test_the_classifier_sees_the_run_where_it_is_and_nowhere_else() -> None:
    scenario = Scenario(seed=5, course=Course(120, 420))
    calm = read_by_the_classifier(scenario, 0, 120)
    run = read_by_the_classifier(scenario, 125, 185)
    assert share(calm[CRISIS_TOPIC]) < 0.4
    assert share(run[CRISIS_TOPIC]) > 0.7
    assert run[CRISIS_TOPIC].total() / 60 > 3 * calm[CRISIS_TOPIC].total() / 120
    others = run.keys() - {CRISIS_TOPIC}
    negative = {topic: (run[topic]["negative"] / 60, calm[topic]["negative"] / 120) for topic in others}
    for topic, (now, before) in negative.items():
        # A few stories of the run stray to other topics, as real ones do.
        assert now < before + 0.2, topic
