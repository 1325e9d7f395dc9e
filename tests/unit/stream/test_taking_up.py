"""Where counting goes on in a partition that it is given."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from stream.aggregation import PartitionCounter
from stream.aggregation_service import _Counting
from stream.records import Checkpoint

PLACE = TopicPartition("finsentry.scored", 0)


@pytest.mark.parametrize(("counted", "oldest", "lost"), [(5, 8, [(5, 8)]), (8, 8, []), (0, 8, [])])
def test_what_expired_uncounted_is_lost_and_where_no_checkpoint_stands_nobody_knows(
    counted: int, oldest: int, lost: list[tuple[int, int]]
) -> None:
    """Checkpoints expire too: of a partition that was silent for longer everything had been counted."""
    said: list[tuple[int, int]] = []
    service = SimpleNamespace(stage="aggregation", expired=lambda _place, *stretch: said.append(stretch))
    consumer = SimpleNamespace(seek=lambda *_: None, resume=lambda *_: None)
    counting = _Counting(cast("Any", service), cast("Any", consumer), cast("Any", None))
    counter = PartitionCounter(0, lateness=timedelta(hours=1), evidence=1)
    if counted:
        counter.restore(Checkpoint(partition=0, position=counted, origin=counted - 1))
    counting._take_up(PLACE, counter, oldest)
    assert said == lost
    assert counting.done[PLACE] == oldest
