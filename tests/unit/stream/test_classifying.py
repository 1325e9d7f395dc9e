"""A classifier in its thread: waited for while it is sick, and changed only between two batches."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from model.classifier import Prediction
from stream import classifying, hot_loop
from stream.broker import BrokerSettings
from stream.classifying import Classifying
from stream.errors import ModelHangsError, ModelSickError
from stream.hot_loop import Outcome
from stream.live_model import LiveModel
from stream.scoring import Scorer
from stream.scoring_service import ScoringService
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings
from tests.unit.stream.classifiers import Known, batch, loaded, on_everything


def scorer() -> Scorer:
    return Scorer(topic="", max_text_bytes=1000)


def test_a_sick_classifier_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "RETRY_SECONDS", 0.001)
    asked: list[str] = []

    def sick_at_first(text: str) -> bool:
        asked.append(text)
        return len(asked) < 6

    async def run() -> None:
        one = Classifying(LiveModel(loaded(Known(1, sick_at_first))), StreamSettings())
        watched: list[int] = []
        one.watch = lambda received, _batch: watched.append(len(received))
        found = await one.score(scorer(), batch("a", "b"))
        assert [item.document.model for item in found.scored] == ["bundle-1"] * 2
        assert watched == [2]  # once, though it was tried again and again
        one.end()

    asyncio.run(run())


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "RETRY_SECONDS", 0.001)

    async def run() -> None:
        one = Classifying(LiveModel(loaded(Known(1, on_everything))), StreamSettings(model_patience_seconds=0.05))
        async with asyncio.timeout(10):
            await one.score(scorer(), batch("a"))

    with pytest.raises(ModelSickError, match="bundle-1 cannot") as ended:
        asyncio.run(run())
    assert "finsentry promote --rollback" in ended.value.fix


class Slow(Known):
    def __init__(self) -> None:
        super().__init__(1)
        self.asked, self.may = threading.Event(), threading.Event()

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        self.asked.set()
        assert self.may.wait(10)
        return super().classify(texts)


def test_nothing_is_changed_while_a_batch_is_scored() -> None:
    async def run() -> None:
        classifier = Slow()
        one = Classifying(LiveModel(loaded(classifier)), StreamSettings())
        scoring = asyncio.ensure_future(one.score(scorer(), batch("a")))
        await asyncio.to_thread(classifier.asked.wait, 10)
        changed: list[bool] = []
        change = asyncio.ensure_future(one.between_batches(lambda: changed.append(True)))
        await asyncio.sleep(0.05)
        assert not changed
        classifier.may.set()
        await scoring
        await change
        assert changed
        one.end()

    asyncio.run(run())


def test_how_a_trial_ended_is_told_though_nobody_waits_for_its_batch_any_more() -> None:
    """Otherwise `control` would go on calling a bundle live that was taken back."""

    async def run() -> None:
        slow, live = Slow(), LiveModel(loaded(Known(2)), trial_batches=1)
        live.default.swap(loaded(slow))
        one, told = Classifying(live, StreamSettings()), asyncio.Event()
        one.judged = lambda verdict: told.set() if verdict.tried.classifier is slow else None
        scoring = asyncio.ensure_future(one.score(scorer(), batch("a")))
        await asyncio.to_thread(slow.asked.wait, 10)
        scoring.cancel()
        slow.may.set()
        async with asyncio.timeout(10):
            await told.wait()
        one.end()

    asyncio.run(run())


def test_the_group_waits_for_longer_than_a_classifier_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it took the partitions away in the middle of a batch, which was dropped and begun anew, for ever."""
    given: dict[str, int] = {}

    def consumer(**options: int) -> object:
        given.update(options)
        raise InterruptedError

    monkeypatch.setattr(hot_loop, "AIOKafkaConsumer", consumer)
    settings = StreamSettings(batch_documents=2000)
    one = Classifying(LiveModel(loaded(Known(1))), settings)
    service = ScoringService(
        BrokerSettings(bootstrap_servers="127.0.0.1:9"), Topics(TopicSettings()), settings, Outcome(), one
    )
    with pytest.raises(InterruptedError):
        asyncio.run(service.round())
    assert one.longest_seconds(2000) == 2000 * classifying.HANGS_SECONDS_A_DOCUMENT + settings.model_patience_seconds
    assert given["max_poll_interval_ms"] > 1000 * one.longest_seconds(2000)


def test_a_batch_is_given_its_own_time_after_one_that_nobody_waits_for_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a small one behind a large one that a failed round left behind would be called hung."""
    monkeypatch.setattr(classifying, "HANGS_SECONDS", 1.0)
    monkeypatch.setattr(classifying, "HANGS_SECONDS_A_DOCUMENT", 0.0)

    async def run() -> None:
        slow = Slow()
        one = Classifying(LiveModel(loaded(slow)), StreamSettings())
        left_behind = asyncio.ensure_future(one.score(scorer(), batch("a")))
        await asyncio.to_thread(slow.asked.wait, 10)
        left_behind.cancel()
        after = asyncio.ensure_future(one.score(scorer(), batch("b")))
        await asyncio.sleep(1.2)
        slow.may.set()
        assert len((await after).scored) == 1
        one.end()

    asyncio.run(run())


@pytest.mark.parametrize("before", ["many batches", "a long sickness"])
def test_a_classifier_that_hangs_is_given_up_as_soon_whatever_was_before(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the group would take the partitions away first."""
    monkeypatch.setattr(classifying, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(classifying, "HANGS_SECONDS", 0.5)
    monkeypatch.setattr(classifying, "HANGS_SECONDS_A_DOCUMENT", 0.0)
    may = threading.Event()
    asked = 0

    def fails(_text: str) -> bool:
        nonlocal asked
        asked += 1
        if asked > 40:
            may.wait(20)
        return before == "a long sickness"

    async def run() -> None:
        one = Classifying(LiveModel(loaded(Known(1, fails))), StreamSettings())
        try:
            async with asyncio.timeout(10):
                while True:
                    await one.score(scorer(), batch("a"))
        finally:
            may.set()
            one.end()

    with pytest.raises(ModelHangsError):
        asyncio.run(run())
