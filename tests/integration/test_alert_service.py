"""The alert service on a real broker: one alert per event, told once, whatever dies."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kafka
import msgspec
import pytest
from prometheus_client import REGISTRY

from alerts.mark import JudgedMark
from alerts.service import AlertService
from alerts.settings import AlertSettings, BaselineSettings, DriftSettings, WindowSettings
from deploy.local.kafka import EmbeddedKafka
from stream import metrics
from stream.broker import BrokerSettings, ensure_topics
from stream.records import CHECKPOINT_KEY, Alert, Bucket, Checkpoint, Evidence, encode
from stream.settings import StreamSettings
from stream.snapshot import read_topic
from stream.topics import Topics, TopicSettings
from tests.integration.logs import wait_until

START = datetime(2026, 3, 2, tzinfo=UTC)
POLICY = AlertSettings(
    windows={"15m": WindowSettings(minutes=15, step_minutes=5, min_stories=10)},
    drift=DriftSettings(window=""),
    baseline=BaselineSettings(history_days=1),
)
STREAM = StreamSettings(lateness_minutes=10, idle_seconds=60, follow_clock=False)


class Windows:
    """Writes what workers write: minutes of event time on every partition in turn, and checkpoints behind them."""

    def __init__(self, broker: BrokerSettings, topics: Topics) -> None:
        self._topic = topics.windows
        self._producer = kafka.KafkaProducer(**broker.client_options(), linger_ms=20)
        self._positions = [0] * self._topic.partitions

    def write(self, start: int, end: int, share: float, *, stories: int = 4) -> None:
        """Minutes [start, end) since `START`, a share of the stories negative; the watermark is then at `end`."""
        told = 0
        for minute in range(start, end):
            wanted = round((minute - start + 1) * stories * share)
            self.bucket(minute, stories, wanted - told)
            told = wanted
        self.checkpoint(end)

    def bucket(self, minute: int, stories: int, negative: int) -> None:
        partition = minute % self._topic.partitions
        self._positions[partition] += stories
        at = START + timedelta(minutes=minute)
        bucket = Bucket(
            topic="Financials",
            minute=at,
            partition=partition,
            applied=self._positions[partition] - 1,
            documents=stories,
            negative=negative,
            neutral=stories - negative,
            stories=stories,
            negative_stories=negative,
            evidence=(Evidence(id=str(minute), title=f"headline {minute}", negative=0.9, published_at=at),),
        )
        self._producer.send(self._topic.name, key=bucket.key.encode(), value=encode(bucket), partition=partition)

    def checkpoint(self, minute: int) -> None:
        for partition, position in enumerate(self._positions):
            checkpoint = Checkpoint(
                partition=partition,
                position=position,
                watermark=START + timedelta(minutes=minute),
                caught_up=True,
                counted=position,
            )
            self._producer.send(
                self._topic.name, key=CHECKPOINT_KEY.encode(), value=encode(checkpoint), partition=partition
            )
        self._producer.flush(30)

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def windows(kafka: BrokerSettings, topics: Topics) -> Iterator[Windows]:
    writer = Windows(kafka, topics)
    yield writer
    writer.close()


@contextmanager
def judging(broker: BrokerSettings, topics: Topics) -> Iterator[None]:
    """A service that is ready; it must end within seconds of being told to."""
    ready = threading.Event()
    service = AlertService(broker, topics, POLICY, STREAM, ready=ready.set)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(service.run(stop),))
    thread.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive()
        loop.close()


def told(broker: BrokerSettings, topics: Topics) -> list[Alert]:
    return [msgspec.json.decode(record.value, type=Alert) for record in read_topic(broker, topics.alerts)]


def wait_for_state(broker: BrokerSettings, topics: Topics, state: str) -> list[Alert]:
    wait_until(
        lambda: any(alert.state == state for alert in told(broker, topics)), seconds=30, what=f"an alert is {state}"
    )
    return told(broker, topics)


def judged_until(broker: BrokerSettings, topics: Topics) -> datetime | None:
    from aiokafka.admin import AIOKafkaAdminClient

    async def read() -> datetime | None:
        admin = AIOKafkaAdminClient(**broker.client_options())
        await admin.start()
        try:
            return await JudgedMark(topics).read(admin)
        finally:
            await admin.close()

    return asyncio.run(read())


def wait_until_judged(broker: BrokerSettings, topics: Topics, minute: int) -> None:
    moment = START + timedelta(minutes=minute)
    wait_until(lambda: judged_until(broker, topics) == moment, seconds=30, what=f"everything is judged up to {moment}")


def test_a_crisis_is_told_from_its_beginning_to_its_end(
    kafka: BrokerSettings, topics: Topics, windows: Windows
) -> None:
    labels = {"topic": "Financials", "judge": "spike", "severity": "critical", "window": "15m"}
    with judging(kafka, topics):
        windows.write(0, 240, 0.2)
        windows.write(240, 280, 0.9)
        first = wait_for_state(kafka, topics, "firing")[0]
        wait_until(
            lambda: REGISTRY.get_sample_value("finsentry_alert_active", labels) == 1, seconds=10, what="it is shown"
        )
        windows.write(280, 400, 0.2)
        last = wait_for_state(kafka, topics, "resolved")[-1]
        wait_until(
            lambda: REGISTRY.get_sample_value("finsentry_alert_active", labels) is None,
            seconds=10,
            what="it is shown no longer",
        )
        wait_until_judged(kafka, topics, 400)
    assert first.id == last.id
    assert first.evidence[0].title.startswith("headline")
    assert last.final.startswith("confirmed")


def test_a_restart_amid_an_alert_goes_on_with_it(kafka: BrokerSettings, topics: Topics, windows: Windows) -> None:
    with judging(kafka, topics):
        windows.write(0, 240, 0.2)
        windows.write(240, 280, 0.9)
        wait_for_state(kafka, topics, "firing")
        wait_until_judged(kafka, topics, 280)
    before = told(kafka, topics)
    with judging(kafka, topics):
        assert told(kafka, topics) == before, "a restart tells nothing twice"
        windows.write(280, 400, 0.2)
        alerts = wait_for_state(kafka, topics, "resolved")
    assert len({alert.id for alert in alerts}) == 1


def test_what_comes_late_to_a_calm_moment_is_no_news_after_a_restart(
    kafka: BrokerSettings, topics: Topics, windows: Windows
) -> None:
    with judging(kafka, topics):
        windows.write(0, 300, 0.2)
        wait_until_judged(kafka, topics, 300)
    for minute in range(260, 275):
        windows.bucket(minute, 10, 10)
    with judging(kafka, topics):
        windows.write(300, 360, 0.2)
        wait_until_judged(kafka, topics, 360)
    assert told(kafka, topics) == []


def test_two_services_side_by_side_agree(kafka: BrokerSettings, topics: Topics, windows: Windows) -> None:
    with judging(kafka, topics), judging(kafka, topics):
        windows.write(0, 240, 0.2)
        windows.write(240, 280, 0.9)
        wait_for_state(kafka, topics, "firing")
        windows.write(280, 400, 0.2)
        wait_for_state(kafka, topics, "resolved")
        wait_until_judged(kafka, topics, 400)
    assert len({alert.id for alert in told(kafka, topics)}) == 1


def test_a_record_that_is_none_is_passed_over(kafka: BrokerSettings, topics: Topics, windows: Windows) -> None:
    windows._producer.send(topics.windows.name, key=b"Financials|nonsense", value=b"\xff", partition=0)
    with judging(kafka, topics):
        windows.write(0, 240, 0.2)
        windows.write(240, 280, 0.9)
        assert len({alert.id for alert in wait_for_state(kafka, topics, "firing")}) == 1


def errors_recovered_from() -> float:
    """How often the service has said that it begins again."""
    samples = [sample for metric in metrics.STAGE_ERRORS.collect() for sample in metric.samples]
    return sum(s.value for s in samples if s.name.endswith("_total") and s.labels["stage"] == "alerts")


def test_a_broker_that_dies_is_waited_for(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as server:
        topics = Topics(TopicSettings(prefix="dying."))
        ensure_topics(server.settings, topics.all())
        windows = Windows(server.settings, topics)
        with judging(server.settings, topics):
            windows.write(0, 240, 0.2)
            wait_until_judged(server.settings, topics, 240)
            before = errors_recovered_from()
            server.kill()
            wait_until(lambda: errors_recovered_from() > before, seconds=60, what="the loss is noticed")
            server.start()
            windows.write(240, 280, 0.9)
            alerts = wait_for_state(server.settings, topics, "firing")
        windows.close()
    assert len({alert.id for alert in alerts}) == 1
