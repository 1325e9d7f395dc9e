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
    """Closes it at the end; after `CLOSE_SECONDS` it goes on, and leaves the rest to `end`."""
    try:
        yield thing
    finally:
        ending = threading.Thread(target=thing.close, name="closing", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)
        if ending.is_alive():
            logger.error("what scores does not end, and is left as it is")


def end(code: int) -> NoReturn:
    """Ends the process with this exit code, by force where a thread has not ended after `END_SECONDS`."""
    force = threading.Timer(END_SECONDS, os._exit, [code])
    force.daemon = True
    force.start()
    sys.exit(code)


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
