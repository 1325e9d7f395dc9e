"""`finsentry` as a user runs it: a process, bounded in time, and what it leaves running."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.processes import Process

CHECKOUT = Path(__file__).resolve().parents[2]


class Finsentry:
    """Runs subcommands with one environment, in a folder of their own; `close` ends what `start` started."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", **environment}
        self._started: list[Process] = []

    def run(
        self, *arguments: str | Path, text: str | None = None, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs to the end; `text` is its standard input. Raises `subprocess.TimeoutExpired` after `seconds`."""
        return subprocess.run(
            self._command(arguments),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=self.folder,
            env={**os.environ, **self.environment},
        )

    def start(self, *arguments: str | Path) -> Process:
        """Starts and returns at once; what it prints stands in the process's log."""
        log = self.folder / f"{arguments[0]}-{len(self._started)}.log"
        process = Process(self._command(arguments), log=log, environment=self.environment, folder=self.folder)
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            process.kill()

    def _command(self, arguments: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "deploy", *map(str, arguments)]


def processes_in(folder: Path) -> list[str]:
    """The command lines of processes that have this folder in them or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command or f"FINSENTRY_DATA_FOLDER={folder}/data".encode() in environment:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found
