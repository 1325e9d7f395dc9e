"""Nothing is waited for without end: brokers that do not answer, classifiers that do not."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from model.classifier import Prediction, TextClassifier
from stream import classifying, control_service, following, windows_log, writing
from stream.broker import BrokerSettings
from stream.classifying import Classifying
from stream.control_service import ControlService
from stream.errors import BrokerError, ModelHangsError
from stream.following import Follower
from stream.live_model import LiveModel, Loaded
from stream.scoring import Scorer
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings
from stream.windows_log import read_to_end
from stream.writing import Entry, append
from tests.unit.stream.classifiers import batch

ONE_PARTITION = Topics(TopicSettings(partitions=1))
OUTER_SECONDS = 15.0
PLACE = TopicPartition(ONE_PARTITION.windows.name, 0)


async def never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


def test_a_batch_that_is_not_acknowledged_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ACKNOWLEDGED_SECONDS", 0.05)
    made = SimpleNamespace(append=lambda **_: object(), record_count=lambda: 1)
    producer: Any = SimpleNamespace(create_batch=lambda: made, send_batch=never)
    with pytest.raises(TimeoutError):
        asyncio.run(append(producer, "scored", 0, [Entry(b"k", b"v")]))


class Silent:
    """A consumer that is told of records and given none; `position` may not come back either."""

    def __init__(self, *, knows: bool) -> None:
        self._knows = knows

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, _places: object) -> None: ...
    def seek(self, _place: object, _offset: int) -> None: ...
    async def seek_to_beginning(self, *_places: object) -> None: ...

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 5)

    async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.01)
        return {}

    async def position(self, _place: TopicPartition) -> int:
        return 0 if self._knows else int(await never())


@pytest.mark.parametrize("knows", [True, False])
def test_restoring_from_a_broker_that_gives_nothing_fails(knows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_log, "STALLED_SECONDS", 0.1)
    monkeypatch.setattr(windows_log, "AIOKafkaConsumer", lambda **_: Silent(knows=knows))

    async def read() -> None:
        async with asyncio.timeout(5):
            async for _ in read_to_end(BrokerSettings(bootstrap_servers="127.0.0.1:9"), [PLACE]):
                pass

    with pytest.raises(BrokerError, match="given nothing"):
        asyncio.run(read())


@pytest.mark.parametrize("knows", [True, False])
def test_a_role_that_is_given_nothing_begins_anew(knows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch task of aiokafka that has ended was seen to leave the judge and the console deaf for ever."""
    monkeypatch.setattr(following, "STALLED_SECONDS", 0.1)
    monkeypatch.setattr(following, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(following, "AIOKafkaConsumer", lambda **_: Silent(knows=knows))

    async def follow() -> None:
        async with asyncio.timeout(OUTER_SECONDS):
            async with Follower(BrokerSettings(bootstrap_servers="127.0.0.1:9"), ONE_PARTITION, role="alerts") as log:
                async for _ in log.load():
                    pass

    began = monotonic()
    with pytest.raises(BrokerError if knows else TimeoutError):  # either is trouble with the broker, to be waited out
        asyncio.run(follow())
    assert monotonic() - began < OUTER_SECONDS


class Unread:
    """A producer whose records nobody is given."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def send_and_wait(self, *_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(offset=5)


class Emptied(Silent):
    """As long as nothing is written the consumer has read all there is."""

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)


@pytest.mark.parametrize("consumer", [Silent(knows=True), Emptied(knows=True), Silent(knows=False)])
def test_a_worker_that_is_not_given_what_it_wrote_itself_begins_anew(
    consumer: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would never hear of a promotion again, and nothing would say so."""
    monkeypatch.setattr(control_service, "STALLED_SECONDS", 0.1)
    monkeypatch.setattr(control_service, "AIOKafkaConsumer", lambda **_: consumer)
    monkeypatch.setattr(control_service, "open_producer", lambda *_, **__: Unread())

    async def run() -> None:
        classifying = Classifying(LiveModel(Loaded(None, Hangs())), StreamSettings())
        service = ControlService(
            BrokerSettings(bootstrap_servers="127.0.0.1:9"),
            ONE_PARTITION,
            classifying,
            lambda *_: Hangs(),
            max_text_bytes=1000,
        )
        async with asyncio.timeout(OUTER_SECONDS):
            await service._round()

    began = monotonic()
    with pytest.raises((BrokerError, TimeoutError)):
        asyncio.run(run())
    assert monotonic() - began < OUTER_SECONDS


class Hangs(TextClassifier):
    version = "hangs"

    def __init__(self) -> None:
        self.answers = threading.Event()

    def classify(self, _texts: Sequence[str]) -> list[Prediction]:
        self.answers.wait(20)
        return []


def test_a_classifier_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "HANGS_SECONDS", 0.1)
    monkeypatch.setattr(classifying, "HANGS_SECONDS_A_DOCUMENT", 0.0)
    classifier = Hangs()

    async def run() -> None:
        asked = Classifying(LiveModel(Loaded(None, classifier)), StreamSettings())
        try:
            async with asyncio.timeout(5):
                await asked.score(Scorer(topic="", max_text_bytes=1000), batch("shares fell"))
        finally:
            classifier.answers.set()

    with pytest.raises(ModelHangsError, match="has not answered for"):
        asyncio.run(run())


HANGS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import stream.app, stream.loading
from stream.errors import ModelHangsError
import deploy.stopping
from deploy.cli import main

ends = sys.argv.pop()

class Live:
    pool = ThreadPoolExecutor(1)
    def close(self):
        self.pool.shutdown()

def hang(*_, **__):
    Live.pool.submit(threading.Event().wait)
    if ends == "gives up":
        raise ModelHangsError("the classifier has not answered for 600 seconds", fix="start it again")

stream.app.run_worker = hang
stream.loading.load_live = lambda *_: Live()
deploy.stopping.CLOSE_SECONDS = deploy.stopping.END_SECONDS = 0.5
main()
"""


@pytest.mark.parametrize(("ends", "code"), [("gives up", 1), ("is told to stop", 0)])
def test_a_worker_whose_classifier_hangs_ends_and_says_why(ends: str, code: int, checkout: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", HANGS, "worker", ends],
        cwd=checkout,
        timeout=60,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "FINSENTRY_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"},
        check=False,
    )
    assert found.returncode == code
    assert "Live does not end, and is left as it is" in found.stderr
    assert "ended by force, as threads do not end: " in found.stderr
    assert ("the classifier has not answered for 600 seconds\n  start it again" in found.stderr) == (code == 1)
