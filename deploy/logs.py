"""Where log lines go: a role's to standard output, a command's warnings to standard error, a replay's to a file."""

import logging
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
CHATTY = {"kafka": logging.CRITICAL, "aiokafka": logging.ERROR, "faust": logging.WARNING, "httpx": logging.WARNING}
"""Libraries log every lost connection as an error; what it means for the user is in our own errors."""


def log_as_role() -> None:
    """A long-running role logs what it does, a line an event."""
    _log(logging.INFO)


def log_as_command() -> None:
    """A command that answers and ends logs what a user must know."""
    _log(logging.WARNING)


def log_to(file: Path, name: str) -> None:
    """Sends what the package `name` logs to a file of its own, and nowhere else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    logger.propagate = False


def _log(level: int) -> None:
    logging.basicConfig(level=level, format=FORMAT)
    for name, least in CHATTY.items():
        logging.getLogger(name).setLevel(least)
