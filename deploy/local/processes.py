"""Processes that end with their parent, write to a log file and are stopped as a group."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

BOUND = Path(__file__).with_name("bound.py")
LOG_LIMIT_BYTES = 20_000_000
"""A log that has grown beyond this is set aside: two of them per role is what a disk must hold."""
TAIL_BYTES = 8_000


class Process:
    """One running command in its own process group.

    It is killed when the thread that made it ends, even by `kill -9` (Linux): make it from the main thread.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.limit_log()
        with log.open("ab") as output:
            self._start_of_log = output.tell()
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(BOUND), str(os.getpid()), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                process_group=0,  # a terminal's Ctrl-C reaches the parent alone, which stops its children in order
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it, as in `subprocess`."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def ask_to_stop(self) -> None:
        """Sends SIGTERM to the whole group and returns at once."""
        self._signal(signal.SIGTERM)

    def end_at_once(self) -> None:
        """Sends SIGKILL to the whole group and returns: a signal handler may interrupt somebody who waits for it."""
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """Ends the whole group at once and reaps the process."""
        self.end_at_once()
        self._popen.wait()

    def stop(self, *, seconds: float = 10.0) -> None:
        """Asks it to stop, and kills what is left of its group after `seconds`."""
        if self.running:
            self.ask_to_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        self.kill()

    def limit_log(self) -> None:
        """Sets the log aside as `LOG.1` where it has grown beyond the limit, in the place of what stood there.

        The process holds its file open, so that is copied and emptied. What is written between the two is lost, and so
        is what there is no room to copy: a full disk would end every role.
        """
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT_BYTES:
                with contextlib.suppress(OSError):
                    shutil.copyfile(self.log, self.log.with_suffix(f"{self.log.suffix}.1"))
                os.truncate(self.log, 0)  # who appends goes on at the new end
                self._start_of_log = 0

    def output(self) -> str:
        """The last lines that this process, not an earlier one, wrote to its log."""
        with self.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(self._start_of_log, end), end - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody is left in the group; macOS says the latter of a group of zombies.
            return


_given: set[int] = set()
"""Ports that `free_ports` gave: some seconds pass until somebody listens there, in which they look free."""


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody listens on at this moment, none of which this process was given before."""
    ports: list[int] = []
    with contextlib.ExitStack() as bound:
        while len(ports) < count:
            one = bound.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port not in _given:
                ports.append(port)
    _given.update(ports)
    return ports


def port_is_taken(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1, or on all addresses."""
    with socket.socket() as probe:
        # As a server would: the leftovers of a closed connection do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def port_answers(port: int) -> bool:
    """Whether a connection to this port of 127.0.0.1 is accepted."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
