"""What the service has read."""

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from msgspec.structs import replace

from alerts.windows_state import WindowsState
from stream.records import Checkpoint, encode
from stream.settings import StreamSettings
from stream.watermarks import NEVER
from stream.windows import THIN_AFTER
from tests.unit.alerts.synthetic import EPOCH, bucket
from tests.unit.stream.headlines import headlines_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SETTINGS = StreamSettings(idle_seconds=30)


def new_state(
    partitions: int, *, longest: timedelta = timedelta(minutes=99), judged: datetime | None = None
) -> WindowsState:
    return WindowsState(partitions, SETTINGS, longest=longest, headlines=2, judged=judged)


def checkpoint(partition: int, position: int, watermark: datetime) -> Checkpoint:
    return Checkpoint(partition=partition, position=position, watermark=watermark, caught_up=True)


def test_checkpoints_wait_until_everything_is_loaded() -> None:
    state = new_state(1)
    state.put(checkpoint(0, 5, NOW), NOW)
    assert state.watermark(NOW) is None
    state.loaded()
    assert state.watermark(NOW) == NOW


def test_of_the_checkpoints_of_a_partition_the_furthest_counts() -> None:
    state = new_state(1)
    state.put(checkpoint(0, 9, NOW), NOW)
    state.put(checkpoint(0, 5, NOW - timedelta(hours=1)), NOW)
    state.loaded()
    assert state.watermark(NOW) == NOW


def test_a_partition_that_has_not_spoken_yet_holds_the_watermark_back() -> None:
    state = new_state(2)
    state.loaded()
    state.put(checkpoint(0, 5, NOW), NOW)
    assert state.watermark(NOW) is None
    assert state.watermark(NOW + timedelta(seconds=31)) is not None


def test_buckets_of_judged_times_are_kept_without_headlines() -> None:
    old, new = bucket(0, 5, 2), bucket(100, 5, 2)
    state = new_state(1, judged=new.minute)
    state.put(old, NOW)
    state.put(new, NOW)
    assert {item.published_at for item in headlines_of(state.table)} == {new.minute}
    assert state.table.window("Financials", EPOCH + 200, 300).stories == 10


def test_of_a_long_stream_few_headlines_are_held_before_it_is_judged_anew_and_while_it_is_judged() -> None:
    chance, buckets = Random(3), []
    for minute in range(2 * THIN_AFTER):
        whole = bucket(minute, 5, 5)
        buckets.append(replace(whole, evidence=tuple(replace(e, negative=chance.random()) for e in whole.evidence)))
    longest = timedelta(minutes=len(buckets))
    again, first = new_state(1, longest=longest, judged=buckets[-1].minute), new_state(1, longest=longest)
    for entry in buckets:
        again.put(entry, NOW)
        first.put(entry, NOW)
        first.note_judged(entry.minute)
    assert len(headlines_of(again.table)) < THIN_AFTER
    assert len(headlines_of(first.table)) < 5 * THIN_AFTER + 100
    first.note_judged(buckets[0].minute)  # what another run judged is judged again, in silence
    before = headlines_of(first.table)
    first.put(replace(buckets[9], minute=buckets[0].minute - longest, applied=len(buckets)), NOW)
    assert headlines_of(first.table) == before, "no window will show what is so old"
    for length in (99, len(buckets)):
        asked = ("Financials", EPOCH + len(buckets), length, 2)
        assert first.table.evidence(*asked) == again.table.evidence(*asked)


def test_a_partition_that_never_had_a_document_closes_nothing() -> None:
    state = new_state(2)
    state.loaded()
    empty = msgspec.json.decode(encode(Checkpoint(partition=1, position=0, caught_up=True)), type=Checkpoint)
    state.put(empty, NOW)
    state.put(checkpoint(0, 5, NOW), NOW)
    assert state.watermark(NOW + timedelta(seconds=31)) is not None
    assert state.closed == NEVER
    state.put(checkpoint(1, 1, NOW), NOW)
    assert state.closed == NOW - timedelta(minutes=SETTINGS.lateness_minutes)
