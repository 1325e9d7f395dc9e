"""A shadow's life in a worker: begun, fed, ended, and what is told of it at each step."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from model.classifier import Prediction
from stream import control
from stream.live_model import Batch, LiveModel, Loaded
from stream.records import BundleRef, Disagreement, Progress, Promotion
from stream.scoring import Received, Scorer
from stream.shadowing import Shadowing
from tests.unit.stream.classifiers import NOW, Known, batch, loaded, on_everything

BUNDLE = BundleRef(folder="/bundle-2", version="bundle-2")
WANTED = control.shadow(BUNDLE, NOW, NOW + timedelta(minutes=5))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def shadowing(classifier: Known, clock: Clock | None = None) -> Shadowing:
    async def open_bundle(_bundle: BundleRef | None, _language: str) -> Loaded:
        return loaded(classifier)

    return Shadowing(open_bundle, {""}, max_text_bytes=1000, now=clock or Clock())


def scored(*texts: str) -> tuple[list[Received], Batch]:
    received = batch(*texts)
    return received, LiveModel(loaded(Known(1))).score(Scorer(topic="", max_text_bytes=1000), received, NOW)


def told(one: Shadowing) -> Progress:
    assert one.progress is not None
    return one.progress


def found(one: Shadowing) -> Disagreement:
    return told(one).disagreement or Disagreement()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def test_it_compares_until_its_time_is_over_and_then_closes_the_bundle() -> None:
    async def test() -> None:
        clock, classifier = Clock(), Known(2)
        one = shadowing(classifier, clock)
        assert one.progress is None
        await one.bring(WANTED)
        assert told(one).state == "shadowing"
        one.observe(*scored("a", "b"))
        await until(lambda: found(one).documents == 2)
        await one.bring(WANTED)  # asked for still, and not begun anew
        assert found(one).topics == 2
        clock.now = NOW + timedelta(minutes=5)
        await one.bring(WANTED)
        assert (told(one).state, found(one).documents) == ("shadowed", 2)
        await until(lambda: classifier.closed)
        one.observe(*scored("c"))
        assert found(one).documents == 2
        one.stop()

    run(test)


class Slow(Known):
    """Answers once it may."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.may = threading.Event()

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        assert self.may.wait(10)
        return super().classify(texts)


def test_what_comes_while_it_is_busy_is_passed_over_and_counted() -> None:
    async def test() -> None:
        classifier = Slow(2)
        one = shadowing(classifier)
        await one.bring(WANTED)
        one.observe(*scored("a"))
        one.observe(*scored("b", "c"))
        classifier.may.set()
        await until(lambda: found(one).documents == 1)
        assert found(one).skipped == 2
        one.stop()
        await until(lambda: classifier.closed)

    run(test)


def test_one_that_fails_on_everything_ends_with_the_reason() -> None:
    async def test() -> None:
        classifier = Known(2, on_everything)
        one = shadowing(classifier)
        await one.bring(WANTED)
        one.observe(*scored("a"))
        await until(lambda: told(one).state == "refused")
        assert "bundle-2 cannot" in told(one).reason
        await until(lambda: classifier.closed)
        one.stop()

    run(test)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [(msgspec.structs.replace(WANTED, language="zh"), "no bundle for zh"), (WANTED, "FileNotFoundError: gone")],
)
def test_one_that_cannot_begin_says_why(wanted: Promotion, reason: str) -> None:
    async def missing(_bundle: BundleRef | None, _language: str) -> Loaded:
        raise FileNotFoundError("gone")

    async def test() -> None:
        one = Shadowing(missing, {""}, max_text_bytes=1000, now=lambda: NOW)
        await one.bring(wanted)
        assert told(one).state == "refused"
        assert reason in told(one).reason
        one.stop()

    run(test)
