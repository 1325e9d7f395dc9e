"""What the alert service says of itself; brokers are met in `tests/integration`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from alerts.judge import Judge
from alerts.service import STAGE, AlertService, _Round
from alerts.settings import AlertSettings
from alerts.windows_state import WindowsState
from stream import metrics
from stream.broker import BrokerSettings
from stream.following import Follower, Read
from stream.records import Alert
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings
from stream.windows import THIN_AFTER, moment_of
from tests.unit.alerts import synthetic
from tests.unit.alerts.synthetic import EPOCH, even, table_of
from tests.unit.stream.headlines import headlines_of

STREAM = StreamSettings()


class FakeProducer:
    """Takes batches of any size; while `failure` is set, none is acknowledged."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.written = 0

    def create_batch(self) -> Any:
        entries: list[dict[str, Any]] = []

        def append(**entry: Any) -> int:
            entries.append(entry)
            return len(entries)

        return SimpleNamespace(append=append, record_count=lambda: len(entries))

    async def send_batch(self, batch: Any, _topic: str, *, partition: int) -> "asyncio.Future[None]":
        assert partition == 0
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            acknowledged.set_exception(self.failure)
        else:
            self.written += batch.record_count()
            acknowledged.set_result(None)
        return acknowledged


def new_service() -> AlertService:
    return AlertService(BrokerSettings(), Topics(TopicSettings()), AlertSettings(), STREAM)


def crisis() -> list[Alert]:
    buckets = even(0, 240, 2, 0.2) + even(240, 300, 2, 0.9)
    return Judge(synthetic.settings(), lateness_minutes=10).advance(table_of(buckets), moment_of(EPOCH + 280))


def new_state() -> WindowsState:
    return WindowsState(1, STREAM, longest=timedelta(days=7), headlines=5, judged=None)


def tell(producer: FakeProducer, state: WindowsState, told: list[Alert]) -> None:
    asyncio.run(_Round(new_service())._tell(cast("AIOKafkaProducer", producer), state, told))


def began() -> float:
    samples = [sample for metric in metrics.ALERTS_STARTED.collect() for sample in metric.samples]
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


def beat() -> float:
    value: float = metrics.HEARTBEAT.labels(STAGE)._value.get()
    return value


def test_an_alert_counts_and_is_logged_once_it_is_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="alerts.service")
    producer, told, before = FakeProducer(), crisis(), began()
    producer.failure = KafkaError()
    for _ in range(2):  # each round begins with what stands in the topics
        with pytest.raises(KafkaError):
            tell(producer, new_state(), told)
    assert (began() - before, caplog.records) == (0, [])

    producer.failure, state = None, new_state()
    tell(producer, state, told)
    assert (began() - before, producer.written, len(caplog.records)) == (1, len(told), len(told))

    tell(producer, state, told[-1:])
    assert (began() - before, producer.written, len(caplog.records)) == (1, len(told), len(told)), "it is no news"


def test_what_has_been_judged_needs_few_headlines() -> None:
    chance, state, end = Random(5), new_state(), 2 * THIN_AFTER
    calm = [
        replace(entry, evidence=tuple(replace(item, negative=chance.random()) for item in entry.evidence))
        for entry in even(0, end, 4, 0.75)
    ]
    for entry in calm[:-1]:
        state.put(entry, moment_of(EPOCH))
    producer = cast("AIOKafkaProducer", FakeProducer())
    asyncio.run(_Round(new_service())._judge_until(moment_of(EPOCH + end), producer, state))
    state.put(calm[-1], moment_of(EPOCH))
    assert state.table.minutes("Financials")[-1] - state.table.minutes("Financials")[0] > 300, "a step of seven days"
    assert len(headlines_of(state.table)) < 100


def test_a_role_that_has_not_come_into_its_loop_has_begun() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        stop.set()
        await new_service().run(stop)

    metrics.HEARTBEAT.labels(STAGE).set(0)
    asyncio.run(run())
    assert beat() > 0


def test_a_long_past_that_is_being_read_is_progress() -> None:
    beats = []

    class Log:
        def __init__(self) -> None:
            self.document_ends: dict[int, int] = {}

        async def load(self) -> AsyncIterator[tuple[float, list[Read]]]:
            for part in range(3):
                metrics.HEARTBEAT.labels(STAGE).set(0)
                yield part / 3, []
                beats.append(beat())

    asyncio.run(_Round(new_service())._load(cast("Follower", Log()), None))
    assert len(beats) == 3
    assert all(beats)
