"""What an operator may choose about the classifier. Composed into the whole settings by `deploy`."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


def usable_cores() -> int:
    """Cores this process may run on: what a container or `taskset` leaves of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ModelSettings(BaseModel):
    """Which bundle classifies, and how much of the machine it may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Path | None = Field(default=None, description="Folder of the bundle to load; the one shipped if absent.")
    threads: int = Field(
        default_factory=usable_cores,
        ge=1,
        le=256,
        description="Batches that run at the same time, each on one core; all cores of this process if absent.",
    )
    batch_tokens: int = Field(
        # 8 to 16 headlines of 25 tokens: the best of a sweep on two cores. A GPU wants some tens of thousands.
        default=256,
        ge=1,
        description="Most tokens in one batch, padding included; a longer text is a batch of its own.",
    )
    repeatable: bool = Field(
        default=True,
        description="Batch only texts of one length, so that a text scores the same to the last bit in any company. "
        "Without it texts of about one length are padded together, which saves time where texts come a few at a time; "
        "now and then that moves a probability in its third decimal.",
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where to run: `auto` takes CUDA where it is present and the bundle is not int8, else the CPU.",
    )
