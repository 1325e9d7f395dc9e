"""What `finsentry doctor` says of one thing that it looked at."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    A `warning` is a promise that would not hold if something failed. Only `broken` keeps a run from working.
    """

    name: str
    state: State
    found: str
    fix: str = ""
