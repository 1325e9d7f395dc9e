"""The archiver's shell over a consumer that tells strange things."""

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import kafka
import kafka.errors
import pytest
from prometheus_client import REGISTRY

from deploy.cli import run
from stream import metrics
from stream.archive import read_archive
from stream.archiver import REFUSALS, Archiver, Progress
from stream.broker import BrokerSettings
from stream.errors import BrokerError, InputError
from stream.records import ScoredDocument, encode
from stream.topics import Topics, TopicSettings

TOPICS = Topics(TopicSettings(partitions=1))
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Consumer:
    """Gives stretches of offsets one after the other, of each partition the same, and says that it ends there."""

    def __init__(self, *stretches: range, partitions: int = 1) -> None:
        self._stretches = list(stretches)
        self._end = stretches[-1].stop
        self._partitions = partitions
        self._places: list[Any] = []
        self.committed: dict[int, int] = {}

    def assign(self, places: list[Any]) -> None:
        self._places = places

    def seek(self, _place: object, _offset: int) -> None: ...
    def close(self) -> None: ...

    def commit(self, offsets: dict[Any, Any], **_: object) -> None:
        self.committed |= {place.partition: position.offset for place, position in offsets.items()}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return set(range(self._partitions))

    def beginning_offsets(self, places: Iterable[Any], **_: object) -> dict[Any, int]:
        return dict.fromkeys(places, 0)

    def end_offsets(self, places: Iterable[Any], **_: object) -> dict[Any, int]:
        return dict.fromkeys(places, self._end)

    def poll(self, _milliseconds: int) -> dict[Any, list[Any]]:
        stretch = self._stretches.pop(0) if self._stretches else ()
        if not stretch:
            return {}
        return {place: [record(place.partition, offset) for offset in stretch] for place in self._places}


class Dying(Consumer):
    """Its broker is gone once all is read, and does not hear that it was."""

    def end_offsets(self, places: Iterable[Any], **_: object) -> dict[Any, int]:
        if not self._stretches:
            raise kafka.errors.KafkaTimeoutError
        return super().end_offsets(places)

    def commit(self, *_: object, **__: object) -> None:
        raise kafka.errors.KafkaTimeoutError


class Last(Consumer):
    """Stops whoever reads it once all is read."""

    def __init__(self, stop: Event, *stretches: range, oldest: int = 0) -> None:
        super().__init__(*stretches)
        self._stop = stop
        self._oldest = oldest

    def beginning_offsets(self, places: Iterable[Any], **_: object) -> dict[Any, int]:
        return dict.fromkeys(places, self._oldest)

    def poll(self, milliseconds: int) -> dict[Any, list[Any]]:
        if not self._stretches:
            self._stop.set()
        return super().poll(milliseconds)


def record(partition: int, offset: int) -> SimpleNamespace:
    document = ScoredDocument(
        origin=offset, watermark=NOW, id=str(offset), story=str(offset), published_at=NOW, topic="Macro"
    )
    value = encode(document)
    milliseconds = int(NOW.timestamp() * 1000)
    return SimpleNamespace(
        topic=TOPICS.scored.name, partition=partition, offset=offset, timestamp=milliseconds, value=value
    )


def progress_of(folder: Path, consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> Progress:
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: consumer)
    with Archiver(BrokerSettings(bootstrap_servers="127.0.0.1:9"), TOPICS, folder, rows=1000) as archiver:
        return archiver.run(follow=False, every_seconds=60, stopped=lambda: False)


def archive(folder: Path, consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> int:
    return progress_of(folder, consumer, monkeypatch).documents


def open_in_turn(monkeypatch: pytest.MonkeyPatch, *consumers: Consumer | Exception | None) -> None:
    """What each new client meets; None: no broker answers."""
    left = list(consumers)

    def open_next(**_: object) -> Consumer:
        found = left.pop(0)
        if found is None:
            raise kafka.errors.KafkaTimeoutError("Unable to bootstrap")
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(kafka, "KafkaConsumer", open_next)


@contextmanager
def archiver(folder: Path) -> Iterator[Archiver]:
    with Archiver(BrokerSettings(bootstrap_servers="127.0.0.1:9"), TOPICS, folder, rows=1000) as opened:
        yield opened


def shown(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_it_goes_on_where_the_folder_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert archive(tmp_path, Consumer(range(30)), monkeypatch) == 30
    assert archive(tmp_path, Consumer(range(30, 50)), monkeypatch) == 20
    assert [entry.offset for entry in read_archive(tmp_path)] == list(range(50))


def test_what_expired_before_it_was_archived_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress_of(tmp_path, Consumer(range(30), range(35, 40)), monkeypatch).expired == 5, "while it ran"
    late = Consumer(range(60, 70))
    monkeypatch.setattr(late, "beginning_offsets", lambda places, **_: dict.fromkeys(places, 60))
    assert progress_of(tmp_path, late, monkeypatch) == Progress(documents=10, records=10, behind=0, expired=20)


def test_the_command_says_what_is_missing_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: Consumer(range(30), range(35, 40)))
    monkeypatch.setenv("FINSENTRY_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    assert run(["archive", str(tmp_path / "a")]) == 1
    said = capsys.readouterr()
    assert said.out == f"35 documents put into {tmp_path / 'a'}, of 35 records read\n"
    assert "finsentry: 5 records had expired before they were archived\n  run it more often" in said.err
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: Consumer(range(30)))
    assert run(["archive", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expired"] == 0


def test_every_partition_of_the_topic_is_archived_whatever_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TOPICS.scored.partitions == 1
    assert archive(tmp_path, Consumer(range(30), partitions=2), monkeypatch) == 60


def test_a_topic_that_is_made_anew_meanwhile_is_not_taken_for_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its documents would be dropped as repeats until it is longer than the old one, and files overlap from then on."""
    with pytest.raises(InputError, match=r"up to offset 29, but the topic .* goes on at 0: it was made anew"):
        archive(tmp_path, Consumer(range(30), range(20), range(20, 50)), monkeypatch)
    assert [entry.offset for entry in read_archive(tmp_path)] == list(range(30))


def test_who_follows_waits_for_a_lost_broker_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors = shown("finsentry_stage_errors_total", stage="archive", error="KafkaTimeoutError")
    stop = Event()
    last = Last(stop, range(30, 50))
    open_in_turn(monkeypatch, Dying(range(30)), kafka.errors.KafkaConnectionError("refused"), None, last)
    waits: list[float] = []
    kept: list[int] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        kept.append(len(list(read_archive(tmp_path))))

    with caplog.at_level(logging.INFO, "stream.archiver"), archiver(tmp_path) as opened:
        done = opened.run(follow=True, every_seconds=60, stopped=stop.is_set, wait=wait)

    assert waits == [0.5, 1.0, 2.0]
    assert kept == [30, 30, 30], "what was read is safe while the broker is away"
    assert done == Progress(documents=50, records=50, behind=0, expired=0)
    assert [entry.offset for entry in read_archive(tmp_path)] == list(range(50))
    assert last.committed == {0: 50}
    assert shown("finsentry_stage_errors_total", stage="archive", error="KafkaTimeoutError") - errors == 2
    away, back = [record.getMessage() for record in caplog.records]
    assert away.startswith("the broker is away and is waited for")
    assert "KafkaTimeoutError" in away
    assert back.startswith("the broker is back ")
    assert back.endswith(" tries=3")


def test_each_outage_is_said_and_waited_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Event()
    open_in_turn(monkeypatch, Dying(range(30)), Dying(range(30, 40)), Last(stop, range(40, 50)))
    waits: list[float] = []
    with caplog.at_level(logging.INFO, "stream.archiver"), archiver(tmp_path) as opened:
        opened.run(follow=True, every_seconds=60, stopped=stop.is_set, wait=waits.append)
    assert waits == [0.5, 0.5]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"] * 2


def test_without_follow_a_lost_broker_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_in_turn(monkeypatch, Dying(range(30)))
    with archiver(tmp_path) as opened, pytest.raises(BrokerError, match=r"no Kafka broker answers at 127.0.0.1:9"):
        opened.run(follow=False, every_seconds=60, stopped=lambda: False)  # it is told at the end, by the commit
    open_in_turn(monkeypatch, Dying(range(10), range(10, 20)), Consumer(range(10, 20)))
    with archiver(tmp_path / "other") as opened, pytest.raises(BrokerError):
        opened.run(follow=False, every_seconds=0, stopped=lambda: False)  # by one on the way
    open_in_turn(monkeypatch, None)
    with pytest.raises(BrokerError), archiver(tmp_path):
        pass


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_broker_that_refuses_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
) -> None:
    """Waiting mends neither rights nor a password; what was read and written stays."""
    refusing = Consumer(range(30), range(30, 40))

    def refuse(*_: object, **__: object) -> None:
        raise refusal

    monkeypatch.setattr(refusing, "commit", refuse)
    open_in_turn(monkeypatch, refusing)
    with archiver(tmp_path) as opened, pytest.raises(BrokerError):
        opened.run(follow=True, every_seconds=0.0, stopped=lambda: False, wait=lambda _: pytest.fail("it waits"))
    assert len(list(read_archive(tmp_path))) == 30


@pytest.mark.parametrize("when", ["while it waits", "before it knows"])
def test_who_is_stopped_while_the_broker_is_away_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    stop = Event()
    dying = Dying(range(30)) if when == "while it waits" else Dying(range(30), range(30, 40))
    open_in_turn(monkeypatch, dying)
    stopped = stop.is_set if when == "while it waits" else lambda: len(dying._stretches) == 1
    with archiver(tmp_path) as opened:
        done = opened.run(follow=True, every_seconds=60, stopped=stopped, wait=lambda _: stop.set())
    assert done.documents == len(list(read_archive(tmp_path))) == 30


def test_what_the_group_did_not_hear_before_an_outage_it_hears_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Event()
    last = Last(stop, range(30, 30))
    open_in_turn(monkeypatch, Dying(range(30), range(30, 40)), last)  # lost when it commits the first
    with archiver(tmp_path) as opened:
        opened.run(follow=True, every_seconds=0.0, stopped=stop.is_set, wait=lambda _: None)
    assert last.committed == {0: 30}


def test_what_expired_is_told_once_however_often_the_broker_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path, Consumer(range(30)), monkeypatch)
    before = shown("finsentry_documents_expired_total", stage="archive")
    stop = Event()
    dying = Dying(range(35, 35))  # they expired, and none came since: no file knows of it
    monkeypatch.setattr(dying, "beginning_offsets", lambda places, **_: dict.fromkeys(places, 35))
    open_in_turn(monkeypatch, dying, Last(stop, range(35, 40), oldest=35))
    with archiver(tmp_path) as opened:
        done = opened.run(follow=True, every_seconds=60, stopped=stop.is_set, wait=lambda _: None)
    assert done.expired == 5
    assert shown("finsentry_documents_expired_total", stage="archive") - before == 5


def test_a_topic_that_is_made_anew_during_an_outage_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_in_turn(monkeypatch, Dying(range(30)), Consumer(range(20)))
    with archiver(tmp_path) as opened, pytest.raises(InputError, match="ends at 20: it was made anew"):
        opened.run(follow=True, every_seconds=60, stopped=lambda: False, wait=lambda _: None)
    assert len(list(read_archive(tmp_path))) == 30


def test_what_it_does_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = ("finsentry_documents_archived_total", "finsentry_archive_files_total")
    before = {name: shown(name) for name in counted}
    began = datetime.now(UTC).timestamp()
    consumer = Consumer(range(10), range(10, 40), partitions=2)
    lags: list[float] = []
    beats: list[float] = []

    def stopped() -> bool:
        beats.append(shown("finsentry_heartbeat_timestamp_seconds", role="archive"))
        metrics.HEARTBEAT.labels("archive").set(0)
        lags.append(shown("finsentry_lag_documents", stage="archive", partition="1"))
        return len(lags) > 3

    open_in_turn(monkeypatch, consumer)
    with archiver(tmp_path) as opened:
        opened.run(follow=True, every_seconds=60, stopped=stopped)
    assert lags[1:] == [30, 0, 0]
    assert [shown(name) - before[name] for name in counted] == [80, 2]
    assert shown("finsentry_archive_written_timestamp_seconds") >= began
    assert min(beats) >= began
