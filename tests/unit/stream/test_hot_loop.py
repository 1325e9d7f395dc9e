"""The frame of the loops: nothing in it ends without a word."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from stream.hot_loop import Restarts, side_by_side


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
