from aiokafka import TopicPartition

from stream.standstill import LOOK_SECONDS, Standstill

ONE, OTHER = TopicPartition("documents", 0), TopicPartition("documents", 1)


def test_seconds_add_up_while_nothing_moves_and_begin_anew_where_something_does() -> None:
    standstill = Standstill()
    assert standstill.look({ONE: 3, OTHER: 5}, behind=True, now=100.0) == 0
    assert standstill.look({ONE: 3, OTHER: 5}, behind=True, now=102.0) == 2
    assert standstill.look({ONE: 3, OTHER: 5}, behind=True, now=105.0) == 5
    assert standstill.look({ONE: 4, OTHER: 5}, behind=True, now=106.0) == 0
    assert standstill.look({ONE: 4, OTHER: 5}, behind=True, now=107.0) == 1


def test_one_that_has_read_all_stands_still_for_nobody() -> None:
    standstill = Standstill()
    standstill.look({ONE: 3}, behind=True, now=0.0)
    standstill.look({ONE: 3}, behind=True, now=4.0)
    assert standstill.look({ONE: 3}, behind=False, now=8.0) == 0
    assert standstill.look({ONE: 3}, behind=True, now=9.0) == 1


def test_a_reader_that_was_busy_for_long_has_not_waited_all_that_time() -> None:
    standstill = Standstill()
    standstill.look({ONE: 3}, behind=True, now=0.0)
    assert standstill.look({ONE: 3}, behind=True, now=3600.0) == LOOK_SECONDS
