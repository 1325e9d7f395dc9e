"""What compaction leaves of `windows`: what a worker wrote that lost its partition displaces nothing of the owner's."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from stream.records import Bucket, Checkpoint, encode, window_key
from stream.windows import WindowTable, minute_of
from stream.windows_log import decode_window

MINUTE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def bucket(applied: int) -> Bucket:
    return Bucket(topic="Markets", minute=MINUTE, partition=0, applied=applied, documents=applied)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), min_size=1))
def test_the_higher_applied_survives_compaction_whoever_wrote_last(written: list[tuple[str, int]]) -> None:
    """Each writer's own values grow; how the two writers' records interleave is anything."""
    of_each: dict[str, int] = {}
    log = {}
    for writer, more in written:
        of_each[writer] = of_each.get(writer, 0) + more
        log[window_key(bucket(0), writer)] = encode(bucket(of_each[writer]))  # keeps the last record of a key
    table = WindowTable()
    for key, value in log.items():
        record = decode_window(key, value)
        assert isinstance(record, Bucket)
        table.put(record)
    start = minute_of(MINUTE)
    assert table.window("Markets", start + 1, 1).documents == max(of_each.values())


def test_a_checkpoint_is_told_by_its_key_with_and_without_a_writer() -> None:
    checkpoint = Checkpoint(partition=0, position=7)
    for key in (window_key(checkpoint, "a"), b"checkpoint"):
        assert decode_window(key, encode(checkpoint)) == checkpoint
