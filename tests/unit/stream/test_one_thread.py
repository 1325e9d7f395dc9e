"""A thread that does one thing after another and keeps no process."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stream.one_thread import OneThread

HANGS = """
import asyncio, threading
from stream.one_thread import OneThread

async def main():
    thread = OneThread("hangs")
    try:
        async with asyncio.timeout(0.2):
            await thread.do(threading.Event().wait)
    except TimeoutError:
        thread.end()
        print(await thread.ended(0.1))

asyncio.run(main())
"""


def test_work_is_done_in_order_in_the_one_thread_and_its_errors_are_raised() -> None:
    async def run() -> list[tuple[int, str]]:
        thread = OneThread("mine")
        done: list[tuple[int, str]] = []
        works = [thread.do(lambda n=n: done.append((n, threading.current_thread().name))) for n in range(5)]  # type: ignore[misc]
        await asyncio.gather(*works)
        with pytest.raises(ZeroDivisionError):
            await thread.do(lambda: 1 // 0)
        assert await thread.do(lambda: 7) == 7
        thread.end()
        assert await thread.ended(5)
        return done

    assert asyncio.run(run()) == [(n, "mine") for n in range(5)]


def test_what_is_given_up_before_it_began_is_not_done() -> None:
    async def run() -> list[str]:
        thread, gate, done = OneThread("mine"), threading.Event(), list[str]()
        first = asyncio.ensure_future(thread.do(gate.wait))
        second = asyncio.ensure_future(thread.do(lambda: done.append("second")))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        gate.set()
        await first
        await thread.do(lambda: done.append("third"))
        thread.end()
        return done

    assert asyncio.run(run()) == ["third"]


def test_a_process_ends_though_its_work_never_does(checkout: Path) -> None:
    found = subprocess.run([sys.executable, "-c", HANGS], cwd=checkout, timeout=20, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "False\n")
