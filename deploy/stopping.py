"""How a process ends: SIGINT and SIGTERM as an event that a loop can wait for, and threads that hang.

A thread hangs in a model or an accelerator's driver, say, and nothing in Python ends it; Python's own end would wait
for it, and a process that does nothing and never ends is one that no supervisor starts again.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NoReturn, Protocol, TypeVar

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0

END_SECONDS = 10.0
"""How long the threads that are left may take once a command is done."""


class Closable(Protocol):
    """Something with a `close` that may wait for a thread."""

    def close(self) -> object:
        """Gives up what it holds."""


T = TypeVar("T", bound=Closable)


@contextmanager
def closing_in_time(thing: T) -> Iterator[T]:
    """Closes it at the end, and raises what `close` does; after `CLOSE_SECONDS` it leaves the rest to `end`."""
    try:
        yield thing
    finally:
        closed: Future[object] = Future()
        threading.Thread(target=_close, args=(thing, closed), name="closing", daemon=True).start()
        try:
            closed.result(CLOSE_SECONDS)
        except TimeoutError:
            if closed.done():  # its own
                raise
            logger.error("%s does not end, and is left as it is", type(thing).__name__)


def _close(thing: Closable, closed: "Future[object]") -> None:
    try:
        closed.set_result(thing.close())
    except BaseException as error:
        closed.set_exception(error)


def end(code: int) -> NoReturn:
    """Ends the process with this exit code, by force where a thread has not ended after `END_SECONDS`."""
    force = threading.Timer(END_SECONDS, _end_by_force, [code])
    force.daemon = True
    force.start()
    sys.exit(code)


def _end_by_force(code: int) -> None:
    left = ", ".join(sorted(thread.name for thread in threading.enumerate() if not thread.daemon))
    sys.stderr.write(f"finsentry: ended by force, as threads do not end: {left}\n")
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second ends the process as if nobody listened.

    Only from the main thread.
    """
    stop = threading.Event()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def ask(*_: object) -> None:
        stop.set()
        restore()

    for number in previous:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
