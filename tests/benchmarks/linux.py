"""What Linux says of a process: processor time, memory, open files."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Of all its threads since it began, in user and kernel mode. Raises `OSError` where it is gone."""
    # The name of the command stands in brackets and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid: int) -> int:
    """What of it is in memory. Raises `OSError` where it is gone."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE


def peak_bytes(pid: int) -> int:
    """The most of it that was ever in memory. Raises `OSError` where it is gone.

    `getrusage` does not say it: a process begins there with what the one had that started it.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def open_handles(pid: int) -> int:
    """Files, sockets and pipes that it holds open. Raises `OSError` where it is gone."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names of links, which are not to be followed
