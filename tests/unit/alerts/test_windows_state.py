"""What the service has read."""

from datetime import UTC, datetime, timedelta

import msgspec

from alerts.windows_state import Told, WindowsState
from stream.records import Checkpoint, encode
from stream.settings import StreamSettings
from stream.watermarks import NEVER
from tests.unit.alerts.synthetic import EPOCH, bucket

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SETTINGS = StreamSettings(idle_seconds=30)


def checkpoint(partition: int, position: int, watermark: datetime) -> Checkpoint:
    return Checkpoint(partition=partition, position=position, watermark=watermark, caught_up=True)


def test_checkpoints_wait_until_everything_is_loaded() -> None:
    state = WindowsState(1, SETTINGS, told=None)
    state.put(checkpoint(0, 5, NOW), NOW)
    assert state.watermark(NOW) is None
    state.loaded()
    assert state.watermark(NOW) == NOW


def test_of_the_checkpoints_of_a_partition_the_furthest_counts() -> None:
    state = WindowsState(1, SETTINGS, told=None)
    state.put(checkpoint(0, 9, NOW), NOW)
    state.put(checkpoint(0, 5, NOW - timedelta(hours=1)), NOW)
    state.loaded()
    assert state.watermark(NOW) == NOW


def test_a_partition_that_has_not_spoken_yet_holds_the_watermark_back() -> None:
    state = WindowsState(2, SETTINGS, told=None)
    state.loaded()
    state.put(checkpoint(0, 5, NOW), NOW)
    assert state.watermark(NOW) is None
    assert state.watermark(NOW + timedelta(seconds=31)) is not None


def test_buckets_of_judged_times_are_kept_without_headlines() -> None:
    old, new = bucket(0, 5, 2), bucket(100, 5, 2)
    state = WindowsState(1, SETTINGS, told=Told(new.minute, timedelta(minutes=99), 5))
    state.put(old, NOW)
    state.put(new, NOW)
    assert [len(item.evidence) for item in state.table.buckets()] == [0, 2]
    assert state.table.window("Financials", EPOCH + 200, 300).stories == 10


def test_a_partition_that_never_had_a_document_closes_nothing() -> None:
    state = WindowsState(2, SETTINGS, told=None)
    state.loaded()
    empty = msgspec.json.decode(encode(Checkpoint(partition=1, position=0, caught_up=True)), type=Checkpoint)
    state.put(empty, NOW)
    state.put(checkpoint(0, 5, NOW), NOW)
    assert state.watermark(NOW + timedelta(seconds=31)) is not None
    assert state.closed == NEVER
    state.put(checkpoint(1, 1, NOW), NOW)
    assert state.closed == NOW - timedelta(minutes=SETTINGS.lateness_minutes)
