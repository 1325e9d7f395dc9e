"""The frame of the loops: nothing in it ends without a word."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from stream import hot_loop
from stream.broker import BrokerSettings
from stream.errors import BrokerError
from stream.hot_loop import HotLoop, Outcome, Restarts, side_by_side
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings


async def for_ever() -> None:
    await asyncio.Event().wait()


async def cancelled_from_within() -> None:
    raise asyncio.CancelledError


async def ends() -> None:
    await asyncio.sleep(0)


async def fails() -> None:
    raise OSError("the wire is cut")


@pytest.mark.parametrize("loop", [cancelled_from_within, ends])
def test_a_loop_that_ends_is_an_error(loop: Callable[[], Coroutine[None, None, None]]) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(side_by_side(for_ever(), loop()))
    assert caught.group_contains(RuntimeError, match="a loop ended")


def test_the_failure_of_a_loop_is_told() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(side_by_side(for_ever(), fails()))
    assert caught.group_contains(OSError, match="the wire is cut")


def test_cancelling_all_ends_them_quietly() -> None:
    async def begin_and_cancel() -> None:
        task = asyncio.ensure_future(side_by_side(for_ever(), for_ever()))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(begin_and_cancel())


def test_failures_in_a_row_are_counted_and_progress_forgives_them() -> None:
    restarts = Restarts(2)
    assert [restarts.failed(), restarts.failed(), restarts.failed()] == [0.2, 0.5, None]
    restarts.progress()
    assert restarts.failed() == 0.2


PLACE = TopicPartition("finsentry.documents", 0)
END = 5


LOOK_SECONDS = 0.01
"""How far time goes from one look at the ends to the next, however long that took."""


class Standing:
    """A consumer that is given nothing: at `positions`, or None where it does not know where to begin.

    At every third look of the watcher one more record of each partition that `moves` is `done`.
    """

    def __init__(
        self,
        positions: Mapping[TopicPartition, int | None],
        moves: frozenset[TopicPartition],
        done: dict[TopicPartition, int],
        holds: frozenset[TopicPartition],
    ) -> None:
        self._fetcher = SimpleNamespace(_records=holds)
        self._positions = positions
        self._moves = moves
        self._done = done
        self.looks = 0

    def now(self) -> float:
        return self.looks * LOOK_SECONDS

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.looks += 1
        if self.looks % 3 == 0:
            for place in self._moves:
                self._done[place] += 1
        return dict.fromkeys(places, END)

    async def position(self, place: TopicPartition) -> int:
        if (position := self._positions[place]) is None:
            await asyncio.Event().wait()
        assert position is not None
        return position


OTHER = TopicPartition(PLACE.topic, 1)


def watch(
    position: int | None,
    *,
    waits: Callable[[], bool] = lambda: True,
    moves: frozenset[TopicPartition] = frozenset(),
    positions: Mapping[TopicPartition, int] | None = None,
    holds: frozenset[TopicPartition] = frozenset(),
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Watches such a consumer for some times as long as it may stand still.

    `positions`: of other partitions. `moves`: those of which records are done now and then. `holds`: those whose
    records the client has fetched. Time is what the watcher
    itself sees of it: a machine that stands still in between is no broker that does.
    """
    monkeypatch.setattr(hot_loop, "LAG_SECONDS", LOOK_SECONDS)
    monkeypatch.setattr(hot_loop, "STALLED_SECONDS", 0.1)
    monkeypatch.setattr(hot_loop, "POSITION_SECONDS", 0.02)
    at = {PLACE: position, **(positions or {})}
    done = dict.fromkeys(at, 0)

    consumer = Standing(at, moves, done, holds)
    monkeypatch.setattr(hot_loop, "monotonic", consumer.now)

    async def run() -> None:
        loop = HotLoop(BrokerSettings(), Topics(TopicSettings()), StreamSettings(), Outcome())
        loop.stage = "scoring"
        watching = asyncio.ensure_future(loop.watch_lag(consumer, done, waits=waits))
        while consumer.looks < 60 and not watching.done():
            await asyncio.sleep(0.001)
        if watching.done():
            watching.result()
        watching.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("position", [3, None])
def test_a_consumer_that_is_given_nothing_though_there_is_something_is_an_error(
    position: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BrokerError, match="given nothing"):
        watch(position, monkeypatch=monkeypatch)


@pytest.mark.parametrize("waits", [lambda: True, iter(range(10**6)).__next__])
def test_one_partition_that_is_given_nothing_is_noticed_though_others_move(
    waits: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the loop waits for: while others move there is nearly always something under way."""
    both = {OTHER: END}
    monkeypatch.setattr(hot_loop, "TURN_SECONDS", 0.05)
    with pytest.raises(BrokerError, match="documents, partition 0: nothing was fetched of it"):
        watch(3, moves=frozenset({OTHER}), positions=both, waits=waits, monkeypatch=monkeypatch)
    monkeypatch.setattr(hot_loop, "TURN_SECONDS", 30.0)
    watch(3, moves=frozenset({OTHER}), positions=both, waits=waits, monkeypatch=monkeypatch)


def test_one_whose_records_were_fetched_waits_for_its_turn_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 partitions with 1,400 documents each in the client, at 540 documents a second, come round in three minutes."""
    monkeypatch.setattr(hot_loop, "TURN_SECONDS", 0.05)
    places = {"moves": frozenset({OTHER}), "positions": {OTHER: END}}
    watch(3, **places, holds=frozenset({PLACE}), monkeypatch=monkeypatch)  # type: ignore[arg-type]


def test_quiet_partitions_do_not_hide_one_that_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="given nothing"):
        watch(3, positions={OTHER: END}, monkeypatch=monkeypatch)


def test_a_round_that_is_cancelled_from_within_counts_as_failed() -> None:
    class Cancelled(HotLoop):
        stage = "scoring"
        rounds = 0

        async def round(self) -> None:
            self.rounds += 1
            raise asyncio.CancelledError

    outcome = Outcome()

    async def run() -> int:
        loop = Cancelled(BrokerSettings(), Topics(TopicSettings()), StreamSettings(restarts=1), outcome)
        async with asyncio.timeout(5):
            await loop.start()
            while outcome.cause is None:
                await asyncio.sleep(0.01)
        await loop.stop()
        return loop.rounds

    assert asyncio.run(run()) == 2
    assert "cancellation from within" in str(outcome.cause)


def test_one_that_has_read_all_or_moves_or_is_not_waited_for_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    watch(END, monkeypatch=monkeypatch)
    watch(3, moves=frozenset({PLACE}), monkeypatch=monkeypatch)
    watch(3, waits=lambda: False, monkeypatch=monkeypatch)
