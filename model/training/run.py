"""A run: the folder that a training leaves, and what it says of itself."""

from pathlib import Path

import msgspec

from model.bundle import DataFingerprint
from model.data.leaks import Leak
from model.data.recipe import Recipe, parse_recipe
from model.errors import InputError
from model.training.checkpoint import CHECKPOINT_FILE

RUN_FILE = "run.json"


class Taught(msgspec.Struct, frozen=True, kw_only=True):
    """The teachers of a training."""

    weight: float
    """Of their answers in the loss."""
    by: list[dict[str, object]]
    """Their recipes; of one that was taught itself with this of its own as `taught`."""
    begins_at_mean: bool = True
    """Whether the training began at the mean of the weights of those that have its encoder, as there were such."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what the export needs to know of a training run, and what the bundle will say of it."""

    recipe: dict[str, object]
    data: dict[str, DataFingerprint]
    rows: str | None = None
    """`Splits.rows`, which tells versions apart that keep other rows; None in runs of before this was kept."""
    encoder: str | None = None
    """`TwoHeads.digest` of the pretrained encoder, of the layers that the recipe takes; None in runs of before."""
    trained_on: int
    """Texts of an epoch, the repeats of small sets included."""
    seconds: float
    torch: str
    device: str = "cpu"
    """Where it was trained: `cpu` or `cuda`."""
    precision: str | None = None
    """Of its matrix products: `bf16`, `fp16` or `fp32`; None in runs of before this was kept."""
    taught: Taught | None = None
    """By which runs, where there were teachers; `recipe` then has the epochs and rate of the distillation."""
    averaged: list[dict[str, object]] = []
    """The recipes of the trainings whose weights were averaged, where there were several; `recipe` is the first."""
    losses: list[float] = []
    """Mean loss of each epoch that is done; fewer than the recipe's epochs where the training was interrupted."""
    leaks: list[Leak] = []
    """What was dropped from training because it is measured on; absent from runs of before this was kept."""
    repeats: dict[str, int] = {}
    """By source, the rows that were dropped because another one with their text and head stands for them."""
    disputed: dict[str, int] = {}
    """By source, the texts that were dropped because their rows are at odds about the label."""


def read_run(run: Path) -> Run:
    """What `train` wrote of itself in `run`. Raises `InputError` where there is no run."""
    try:
        return msgspec.json.decode((run / RUN_FILE).read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        fix = "Give a folder that `finsentry train` wrote."
        if (run / CHECKPOINT_FILE).exists():
            fix = "It has a checkpoint: go on with its training by `finsentry train --resume`."
        raise InputError(f"{run / RUN_FILE}: no training run: {error}", fix=fix) from error


def recipe_of(run: Path) -> Recipe:
    """What `run` was trained by. Raises `InputError` where there is no run, or its recipe is of another version.

    Whether leaks were refused or dropped is not kept, since dropping gives the same rows in either case.
    """
    return parse_recipe({**read_run(run).recipe, "leaks": "drop"}, run / RUN_FILE)
