"""Writing what workers and judges write, and running consoles that read it."""

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kafka
import msgspec

from stream.broker import BrokerSettings
from stream.records import CHECKPOINT_KEY, Alert, Bucket, Checkpoint, encode
from stream.topics import Topics
from stream.windows import minute_of
from tests.browser.made_up import Story, bucket, checkpoint

STOP_SECONDS = 30
"""It takes a second; where it never stops that is told, too."""


class Writer:
    """Stands in for workers and the judge: writes buckets, checkpoints and alerts to the real topics."""

    def __init__(self, broker: BrokerSettings, topics: Topics) -> None:
        self._topics = topics
        self._producer = kafka.KafkaProducer(**broker.client_options(), linger_ms=20)
        self._positions = dict.fromkeys(range(topics.windows.partitions), 0)

    def buckets(self, buckets: Iterable[Bucket], watermark: datetime) -> None:
        """Writes the buckets and then a checkpoint of each partition, as a worker does."""
        for entry in buckets:
            self._send(entry.partition, entry.key, entry)
            self._positions[entry.partition] += entry.documents
        for partition, position in self._positions.items():
            self._send(partition, CHECKPOINT_KEY, checkpoint(partition, position + 1, watermark))
        self._producer.flush(30)

    def stories(self, *stories: Story, applied: int = 1) -> None:
        """Writes stories of one topic and minute as one bucket; `applied` must grow where it is written again."""
        moment = max(story.moment for story in stories)
        self.buckets([bucket(stories[0].topic, minute_of(moment), 0, list(stories), applied=applied)], moment)

    def alert(self, alert: Alert) -> None:
        self._producer.send(self._topics.alerts.name, key=alert.id.encode(), value=encode(alert))
        self._producer.flush(30)

    def close(self) -> None:
        self._producer.close(timeout=5)

    def _send(self, partition: int, key: str, record: Bucket | Checkpoint) -> None:
        self._producer.send(self._topics.windows.name, partition=partition, key=key.encode(), value=encode(record))


def story(topic: str, title: str, *, negative: bool = True, ago: float = 1.0) -> Story:
    """A story of `ago` minutes before now."""
    return Story(topic, datetime.now(UTC) - timedelta(minutes=ago), negative, title, "Harbour Wire")


def alert(topic: str, *headlines: str, minutes: int = 25) -> Alert:
    """A critical alert that fires since `minutes`."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Alert(
        id=f"{topic}-{minutes}",
        topic=topic,
        judge="spike",
        state="firing",
        severity="critical",
        window="1h",
        started_at=now - timedelta(minutes=minutes),
        evaluated_at=now,
        negative_stories=41,
        stories=66,
        documents=80,
        share=41 / 66,
        baseline=0.15,
        lower_bound=0.52,
        reason=f"{topic}: 41 of 66 stories in the last hour are negative (62%); usual is 15%.",
        evidence=bucket(topic, 0, 0, [story(topic, headline) for headline in headlines]).evidence,
    )


def resolved(alert: Alert) -> Alert:
    """The alert, over by now."""
    now = datetime.now(UTC)
    return msgspec.structs.replace(alert, state="resolved", ended_at=now, evaluated_at=now)


class ConsoleProcess:
    """A running console. `url` ends with a slash; `log` is what it says."""

    def __init__(self, broker: BrokerSettings, topics: Topics, log: Path, **settings: object) -> None:
        given = {
            "servers": broker.bootstrap_servers,
            "prefix": topics.group(""),
            "partitions": topics.windows.partitions,
            "console": {"port": 0, **settings},
        }
        self.log = log
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.browser.console_process", json.dumps(given)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, log.read_text()

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self) -> int:
        """Asks it to stop and returns its exit code. Raises `subprocess.TimeoutExpired` where it takes too long."""
        self._process.terminate()
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
