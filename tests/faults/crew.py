"""The workers of a test, each in its place: one that is gone is followed by another there."""

import subprocess
from pathlib import Path
from typing import Any

from tests.integration.streaming import StartWorker, wait_until_it_holds


class Crew:
    """So many workers with the same options, to begin with; nobody else starts any."""

    def __init__(self, start_worker: StartWorker, folder: Path, size: int, **options: Any) -> None:
        """`folder`: where `start_worker` keeps the logs."""
        self._start_worker = start_worker
        self._folder = folder
        self._started = 0
        self._workers: dict[int, subprocess.Popen[str]] = {}
        self._logs: dict[int, Path] = {}
        for place in range(size):
            self.join(place, **options)

    def join(self, place: int, **options: Any) -> None:
        """Starts a worker there."""
        self._workers[place] = self._start_worker(**options)
        self._logs[place] = self._folder / f"worker-{self._started}.log"
        self._started += 1

    def wait_until_it_holds(self, place: int) -> None:
        """Waits until the worker there has partitions of both loops: one without any is not missed."""
        wait_until_it_holds(self._logs[place], "scoring", "aggregation")

    def kill(self, place: int) -> None:
        """By `kill -9`."""
        self._workers[place].kill()
        self._workers[place].wait()

    def leave(self, place: int) -> None:
        """Asks it to end, and waits until it has."""
        self._workers[place].terminate()
        assert self._workers[place].wait(60) == 0

    def require_alive(self) -> None:
        """None gave up, not even one that outlived a fault."""
        assert {place: worker.poll() for place, worker in self._workers.items()} == dict.fromkeys(self._workers)
