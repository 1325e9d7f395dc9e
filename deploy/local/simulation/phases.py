"""The course of the crisis: how strong it is at a moment, as a function of that moment alone."""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["calm", "run", "rescue"]

RISE_SECONDS = 5.0
"""From the first rumour to the full run: social media needs no longer."""

RESCUE_SECONDS = 30.0
"""How long the rescue is news."""


@dataclass(frozen=True, slots=True)
class Course:
    """When the bank run comes, in seconds since the start, and whether it comes back."""

    start: float = 45.0
    end: float = 165.0
    every: float | None = None
    """Seconds from one run's start to the next; None: it comes once. `inf` as `start`: it never comes."""

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"the crisis must start at 0 or later and end after it starts, not {self}")
        if self.every is not None and self.every <= self.end - self.start + RESCUE_SECONDS:
            raise ValueError(f"the crisis must be over before it comes back, not {self}")

    def since_run(self, second: float) -> float:
        """Seconds since the start of the latest run; negative before the first one."""
        since = second - self.start
        return since % self.every if self.every is not None and since >= 0 else since

    def cycle(self, second: float) -> int:
        """How many runs began before the latest one."""
        since = second - self.start
        return int(since // self.every) if self.every is not None and since >= 0 else 0

    def phase(self, second: float) -> Phase:
        """What is going on."""
        since = self.since_run(second)
        if since < 0:
            return "calm"
        length = self.end - self.start
        if since < length:
            return "run"
        return "rescue" if since < length + RESCUE_SECONDS else "calm"

    def fear(self, second: float) -> float:
        """0 in calm, 1 in the full run."""
        return min(1.0, self.since_run(second) / RISE_SECONDS) if self.phase(second) == "run" else 0.0

    def relief(self, second: float) -> float:
        """1 when the rescue is announced, falling to 0 as it stops being news."""
        if self.phase(second) != "rescue":
            return 0.0
        return 1.0 - (self.since_run(second) - (self.end - self.start)) / RESCUE_SECONDS
