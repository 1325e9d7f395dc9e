"""Becomes the given command, bound to the life of the process that started it: `bound.py PARENT COMMAND...`.

A script of its own, and not a `preexec_fn`: the parent has threads (Kafka's clients), and between fork and exec of
such a process no Python may run safely. Uses the standard library alone, so that `python -I -S` starts it in 20 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        # SIGKILL, because whoever could have waited for a slow shutdown is gone.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
    # Python starts with these ignored; a command expects them as a shell would give them.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list, never a shell string
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
