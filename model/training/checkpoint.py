"""Where a training stands, as a file: what was interrupted goes on as if it had not been."""

import os
from pathlib import Path
from typing import Any

import torch

from model.errors import InputError

CHECKPOINT_FILE = "checkpoint.pt"

State = dict[str, Any]
"""Tensors, numbers, strings and containers of them: what `torch.load` takes without running any code."""


def write_checkpoint(run: Path, state: State) -> None:
    """Replaces the run's checkpoint at once: a kill leaves the last one or this one, never half of it."""
    draft = run / f"{CHECKPOINT_FILE}.new"
    torch.save(state, draft)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(run / CHECKPOINT_FILE)


def read_checkpoint(run: Path, *, mapped: bool = False) -> State | None:
    """The run's last checkpoint, None where it has none yet. Raises `InputError` where the file is damaged.

    With `mapped` its tensors stay on the disk: for who wants a number of it, while a training has the memory.
    """
    path = run / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # cut and changed files fail in many ways, inside zipfile, pickle or torch itself
        raise InputError(
            f"{path}: not a checkpoint that can be read: {error}",
            fix="Train again into another folder; what its epochs came to can still be exported.",
        ) from error
    return state
