"""Where the processor time of a process goes: a sampling profiler that neither slows the code nor needs a package.

A timer of processor time interrupts the process some hundred times a second. Each thread's stack is then taken, and
weighs as much as the thread has computed since the sample before, so that waiting weighs nothing.
"""

import json
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from sys import _current_frames
from types import FrameType
from typing import Any

PERIOD_SECONDS = 0.002
ROOT = str(Path(__file__).resolve().parents[2])


class Sampler:
    """Samples from `start` to `stop`; to be made and started in the main thread."""

    def __init__(self) -> None:
        self.own: dict[str, float] = defaultdict(float)
        """Seconds by the function that ran, what it calls in C included."""
        self.within: dict[str, float] = defaultdict(float)
        """Seconds by every function of ours on the stack, hence what it calls included."""
        self.total = 0.0
        self._spent: dict[int, float] = {}

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, PERIOD_SECONDS, PERIOD_SECONDS)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def write(self, path: Path) -> None:
        """As JSON: `total` in seconds, `own` and `within` by function."""
        path.write_text(json.dumps({"total": self.total, "own": self.own, "within": self.within}), encoding="utf-8")

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        frames: dict[int, FrameType | None] = dict(_current_frames())
        frames[threading.get_ident()] = frame
        for ident, top in frames.items():
            try:
                spent = time.clock_gettime(time.pthread_getcpuclockid(ident))
            except OSError:  # it ended meanwhile
                continue
            weight = spent - self._spent.get(ident, spent)
            self._spent[ident] = spent
            if weight > 0 and top is not None:
                self._add(top, weight)

    def _add(self, top: FrameType, weight: float) -> None:
        self.total += weight
        self.own[_name(top)] += weight
        seen = set()
        at: FrameType | None = top
        while at is not None:
            if at.f_code.co_filename.startswith(ROOT) and "site-packages" not in at.f_code.co_filename:
                seen.add(_name(at))
            at = at.f_back
        for name in seen:
            self.within[name] += weight


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-2:])} {code.co_qualname}"


def profile_table(found: dict[str, Any], documents: int, *, rows: int = 25) -> list[str]:
    """Markdown: what a document costs, by function, µs: by itself, and for ours with all that they call."""
    lines = []
    for key, head in (("own", "by itself"), ("within", "with what it calls, ours alone")):
        lines += [f"| {head} | µs a document | share |", "|---|---|---|"]
        ranked = sorted(found[key].items(), key=lambda item: -item[1])[:rows]
        lines += [
            f"| `{name}` | {seconds / documents * 1e6:.2f} | {100 * seconds / found['total']:.0f} % |"
            for name, seconds in ranked
        ]
        lines.append("")
    return lines
