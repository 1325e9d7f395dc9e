"""The archiver's shell over a consumer that tells strange things."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kafka
import pytest

from deploy.cli import run
from stream.archive import read_archive
from stream.archiver import Archiver, Progress
from stream.broker import BrokerSettings
from stream.errors import InputError
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

    def assign(self, places: list[Any]) -> None:
        self._places = places

    def seek(self, _place: object, _offset: int) -> None: ...
    def commit(self, _offsets: object) -> None: ...
    def close(self) -> None: ...

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return set(range(self._partitions))

    def beginning_offsets(self, places: Iterable[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, 0)

    def end_offsets(self, places: Iterable[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, self._end)

    def poll(self, _milliseconds: int) -> dict[Any, list[Any]]:
        if not self._stretches:
            return {}
        stretch = self._stretches.pop(0)
        return {place: [record(place.partition, offset) for offset in stretch] for place in self._places}


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


def test_it_goes_on_where_the_folder_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert archive(tmp_path, Consumer(range(30)), monkeypatch) == 30
    assert archive(tmp_path, Consumer(range(30, 50)), monkeypatch) == 20
    assert [entry.offset for entry in read_archive(tmp_path)] == list(range(50))


def test_what_expired_before_it_was_archived_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress_of(tmp_path, Consumer(range(30), range(35, 40)), monkeypatch).expired == 5, "while it ran"
    late = Consumer(range(60, 70))
    monkeypatch.setattr(late, "beginning_offsets", lambda places: dict.fromkeys(places, 60))
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
