"""A replay that is looked at: it says what ended it, and a broker that is gone for a while does not end it."""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import kafka.errors
import pytest

from deploy.local import replaying
from deploy.local.processes import free_ports
from deploy.local.replaying import Replaying
from ingest.replay import ReplayResult
from ingest.settings import IngestSettings
from ingest.sources.archive import ArchiveOptions
from stream.broker import BrokerSettings
from stream.records import CHECKPOINT_KEY, Checkpoint, encode
from stream.topics import Topics, TopicSettings
from tests.unit.stream.consumer import FakeConsumer

PUBLISHED = ReplayResult(rows=3, rejected=0, published=3, duplicates=0, copies=0, unsent=0, rejections=(), seconds=1.0)


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> FakeConsumer:
    made = FakeConsumer(key=CHECKPOINT_KEY.encode())
    made.stand_in(monkeypatch)
    monkeypatch.setattr(replaying, "open_publisher", lambda *_: nullcontext())
    monkeypatch.setattr(replaying, "replay", lambda *_, **__: PUBLISHED)
    return made


def made(folder: Path) -> Replaying:
    return Replaying(
        folder / "archive.csv",
        "max",
        ArchiveOptions(),
        ingest=IngestSettings(),
        broker=BrokerSettings(bootstrap_servers="broker-1:9092"),
        topics=Topics(TopicSettings()),
        worker_ports=[],
        alerts_port=free_ports(1)[0],
        settle_seconds=0.0,
    )


def eventually(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30.0
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in 30 s"
        time.sleep(0.05)


@pytest.mark.usefixtures("consumer")
def test_whatever_ends_the_publishing_is_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> ReplayResult:
        raise ZeroDivisionError

    monkeypatch.setattr(replaying, "replay", fail)
    with made(tmp_path) as run:
        run.begin()
        with pytest.raises(ZeroDivisionError):
            eventually(lambda: not run.look({}))


@pytest.mark.parametrize("failure", [kafka.errors.KafkaConnectionError("gone"), None])
def test_a_broker_that_is_gone_for_a_while_is_waited_for(
    consumer: FakeConsumer, tmp_path: Path, failure: Exception | None
) -> None:
    with made(tmp_path) as run:
        consumer.failure = failure
        consumer.silent = True
        run.begin()
        consumer.values.append(encode(Checkpoint(partition=0, position=3, counted=3)))
        begun = time.monotonic()
        while time.monotonic() < begun + 1.0:
            assert "counted 0" in run.look({})
        assert not run.finished
        consumer.silent, consumer.failure = False, None
        eventually(lambda: "counted 3" in run.look({}))
        eventually(lambda: bool(run.look({})) and run.finished)


@pytest.mark.usefixtures("consumer")
def test_before_all_is_published_a_report_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def publish(*_: object, progress: Callable[[int, int], None], stop: threading.Event, **__: object) -> ReplayResult:
        progress(2, 3)
        stop.wait(30)
        return PUBLISHED

    monkeypatch.setattr(replaying, "replay", publish)
    with made(tmp_path) as run:
        run.begin()
        eventually(lambda: run.look({}).startswith("published 2 of 3"))
        report = run.report()
    assert (report.complete, report.rows, report.published) == (False, 3, 2)
    assert report.gaps
