"""An archive through the publisher: every row is accounted for, at the pace that was asked for."""

from datetime import datetime
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from ingest.errors import InputError
from ingest.memory import Memory
from ingest.publisher import Publisher
from ingest.replay import KEPT_REJECTIONS, replay
from ingest.settings import IngestSettings
from stream.errors import BrokerError
from tests.shared import shared
from tests.unit.ingest.documents import NOW, InMemoryProducer

ROWS = (
    "Time,Headlines\n"
    "2020-07-19 10:00,Aldmere Savings Bank shut after a run on deposits\n"
    "2020-07-19 10:10,Aldmere Savings Bank shut after a run on deposits | Wire\n"
    "2020-07-19 10:00,Aldmere Savings Bank shut after a run on deposits\n"
    "February 2019,A date without a day\n"
    "2020-07-19 11:00,Brixholt Foods opens a plant for oat drinks\n"
)


def archive(folder: Path, content: str = ROWS) -> Path:
    path = folder / "archive.csv"
    path.write_text(content)
    return path


def clock() -> datetime:
    return NOW


def publisher(producer: InMemoryProducer) -> Publisher:
    return Publisher(producer, Memory(IngestSettings()), clock=clock)


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    producer = InMemoryProducer()
    result = replay(archive(tmp_path), publisher(producer), IngestSettings(), clock=clock)
    assert (result.rows, result.rejected, result.published, result.unsent) == (5, 1, 4, 0)
    assert (result.duplicates, result.copies) == (1, 1)
    assert [str(item) for item in result.rejections] == ["row 5: 'February 2019' names no day"]
    assert len(producer.records) == result.published - result.duplicates
    assert producer.flushes == 1


def test_a_row_that_the_topic_cannot_take_is_a_rejected_one(tmp_path: Path) -> None:
    path = archive(tmp_path, f"Time,Headlines\n2020-07-19,Bank fails\n2020-07-19,{'x' * 200_000}\nsoon,Bad row\n")
    small = Publisher(InMemoryProducer(), Memory(IngestSettings()), clock=clock, max_document_bytes=100_000)
    seen: list[tuple[int, int]] = []
    result = replay(path, small, IngestSettings(), clock=clock, progress=lambda done, total: seen.append((done, total)))
    assert (result.rows, result.rejected, result.published, result.unsent) == (3, 2, 1, 0)
    assert "topics.max_document_bytes" in result.rejections[1].reason
    assert seen[-1] == (2, 2)


def test_a_second_replay_publishes_nothing_new(tmp_path: Path) -> None:
    producer = InMemoryProducer()
    publish = publisher(producer)
    replay(archive(tmp_path), publish, IngestSettings(), clock=clock)
    result = replay(archive(tmp_path), publish, IngestSettings(), clock=clock)
    assert (result.published, result.duplicates) == (4, 4)
    assert len(producer.records) == 3


def test_an_archive_that_is_longer_than_the_memory_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def replayed(memory_documents: int) -> list[str]:
        settings = IngestSettings(memory_documents=memory_documents)
        caplog.clear()
        replay(archive(tmp_path), publisher(InMemoryProducer()), settings, clock=clock)
        return [record.message for record in caplog.records if "the archive exceeds the memory" in record.message]

    assert replayed(4) == []
    (warning,) = replayed(3)
    assert "documents=4" in warning
    assert "ingest.memory_documents" in warning


def test_documents_are_sent_in_event_order(tmp_path: Path) -> None:
    producer = InMemoryProducer()
    path = archive(tmp_path, "Time,Headlines\n2020-07-19,Later one\n2018-07-19,Early one\n2019-07-19,Middle one\n")
    replay(path, publisher(producer), IngestSettings(), clock=clock)
    assert [document.text for document in producer.documents()] == ["Early one", "Middle one", "Later one"]


class FakeTime:
    """A clock that `wait` moves, as an event that nobody sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_the_archives_own_time_passes_as_fast_as_asked(tmp_path: Path) -> None:
    fake = FakeTime()
    replay(
        archive(tmp_path),
        publisher(InMemoryProducer()),
        IngestSettings(),
        speed=60.0,
        clock=clock,
        stop=cast(Event, fake),
        monotonic=fake.monotonic,
    )
    assert fake.waits == [0.0, 0.0, 10.0, 50.0]


def test_a_stopped_replay_says_what_it_did_not_send(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    producer = InMemoryProducer()
    result = replay(archive(tmp_path), publisher(producer), IngestSettings(), stop=stop, clock=clock)
    assert (result.rows, result.rejected, result.published, result.unsent) == (5, 1, 0, 4)
    assert producer.records == []


def test_progress_ends_with_all(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    replay(
        archive(tmp_path),
        publisher(InMemoryProducer()),
        IngestSettings(),
        clock=clock,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(0, 4), (4, 4)]


def test_few_of_many_rejections_are_kept(tmp_path: Path) -> None:
    path = archive(tmp_path, "Time,Headlines\n" + "soon,Bad row\n" * 100)
    result = replay(path, publisher(InMemoryProducer()), IngestSettings(), clock=clock)
    assert result.rejected == 100
    assert len(result.rejections) == KEPT_REJECTIONS


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_is_above_zero(tmp_path: Path, speed: float) -> None:
    with pytest.raises(InputError, match="speed"):
        replay(archive(tmp_path), publisher(InMemoryProducer()), IngestSettings(), speed=speed)


def test_a_lost_document_ends_the_replay(tmp_path: Path) -> None:
    producer = InMemoryProducer()
    producer.fail("no broker")
    with pytest.raises(BrokerError, match="no broker"):
        replay(archive(tmp_path), publisher(producer), IngestSettings(), clock=clock)


def test_a_real_archive_is_replayed_in_full() -> None:
    producer = InMemoryProducer()
    result = replay(shared("data/replay/guardian.csv"), publisher(producer), IngestSettings(), clock=clock)
    assert (result.rows, result.rejected, result.published) == (17_800, 40, 17_760)
    assert result.duplicates == 1
    assert result.copies == 4
    times = [document.published_at for document in producer.documents()]
    assert times == sorted(times)
