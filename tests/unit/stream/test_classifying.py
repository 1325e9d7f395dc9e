"""A classifier in its thread: waited for while it is sick, and changed only between two batches."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from model.classifier import Prediction
from stream import classifying
from stream.classifying import Classifying
from stream.errors import ModelSickError
from stream.live_model import LiveModel
from stream.scoring import Scorer
from stream.settings import StreamSettings
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

    with pytest.raises(ModelSickError, match="bundle-1 cannot"):
        asyncio.run(run())


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
