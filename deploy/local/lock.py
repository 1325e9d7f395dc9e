"""A file that one process at a time holds, and in which it says something to the others."""

import fcntl
import os
import time
from pathlib import Path

TRIES, PAUSE_SECONDS = 5, 0.02
"""`read_held` holds the file for a moment, too."""


class LockFile:
    """Held from `acquire` to `release`, or until its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Whether it is held now; False where another process, or another `LockFile` of this one, holds it."""
        if self._descriptor is not None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        for _ in range(TRIES):
            if _lock(descriptor, fcntl.LOCK_EX):
                self._descriptor = descriptor
                return True
            time.sleep(PAUSE_SECONDS)
        os.close(descriptor)
        return False

    def say(self, text: str) -> None:
        """What `read_held` tells the others; only for the holder."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def read_held(path: Path) -> str | None:
    """What the holder says, empty where it says nothing yet; None where nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # A shared lock: two that look at the same time do not take each other for the holder.
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return os.pread(descriptor, 4096, 0).decode()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
