"""The mean of several trainings' weights: one network that costs what each of them costs.

Trainings that end in one basin have a middle that is flatter and does better on texts that none has seen (Wortsman et
al. 2022, "Model soups"). At a high rate they end in several, and their mean is worse than each: `teachers` bring them
into one.
"""

import shutil
from collections.abc import Container, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model.bundle import TOKENIZER_FILE
from model.errors import InputError
from model.nested import changes
from model.training.network import CONFIG_FILE, WEIGHTS_FILE
from model.training.run import RUN_FILE, Run, read_run, recipe_of


def require_alike(runs: Sequence[Path]) -> list[Run]:
    """What `runs` say of themselves. Raises `InputError` where they differ in more than their seeds, or not in these.

    The data's fingerprints are of whole files, whatever part of them is held out: of two recipes with other shares the
    one trains what the other holds out, and their mean would be measured on it. So may two versions that keep other
    rows of the same files; runs of before their digest was kept say nothing of it. The same seed twice is one training.
    """
    trained, recipes = [read_run(run) for run in runs], [recipe_of(run) for run in runs]
    said = [recipe.model_dump(mode="json", exclude={"seed"}) for recipe in recipes]
    seeds: dict[int, Path] = {}
    known = next((place for place, one in enumerate(trained) if one.rows), 0)
    for run, one, recipe, content in zip(runs, trained, recipes, said, strict=True):
        if one.taught != trained[0].taught:
            raise InputError(f"{run}: had other teachers than {runs[0]}", fix="Average runs of the same teachers.")
        if one.data != trained[0].data:
            raise InputError(f"{run}: was trained on other data than {runs[0]}", fix="Average runs of one data folder.")
        if different := changes(said[0], content):
            raise InputError(
                f"{run}: was trained by another recipe than {runs[0]}: {different[0]}",
                fix="Average runs that differ in nothing but their seed, or what one holds out may train another.",
            )
        if one.rows and one.rows != trained[known].rows:
            raise InputError(
                f"{run}: was trained on other rows of the same files than {runs[known]}"
                f" (digest {one.rows}, there {trained[known].rows})",
                fix="Average runs of one version of FinSentry: train one of them again.",
            )
        if one.encoder and trained[0].encoder and one.encoder != trained[0].encoder:
            raise InputError(
                f"{run}: began at another encoder than {runs[0]}",
                fix="Average runs that were given the same --encoder.",
            )
        if len(one.losses) != len(trained[0].losses):
            raise InputError(
                f"{run}: has {len(one.losses)} epochs, and {runs[0]} {len(trained[0].losses)}",
                fix="Go on with what was interrupted: finsentry train --resume.",
            )
        if recipe.seed in seeds:
            raise InputError(
                f"{run}: has seed {recipe.seed}, as {seeds[recipe.seed]} has: the same training twice",
                fix="Give each run once, and train others with --seed.",
            )
        seeds[recipe.seed] = run
    return trained


def average(runs: Sequence[Path], out: Path) -> Run:
    """Writes the mean of `runs` as a run to `out`, and returns what it says of itself.

    Raises `InputError` where a folder holds no run, or one of another network than the first, or as `require_alike` has
    it.
    """
    trained = require_alike(runs)
    weights = mean_weights(runs)
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / WEIGHTS_FILE)
    for name in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(runs[0] / name, out / name)
    done = msgspec.structs.replace(
        trained[0], seconds=sum(one.seconds for one in trained), averaged=[one.recipe for one in trained]
    )
    (out / RUN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
    return done


def mean_weights(runs: Sequence[Path], only: Container[str] | None = None) -> dict[str, npt.NDArray[np.float32]]:
    """By name, the mean of the runs' weights, of all or `only` those with these names.

    Raises `InputError` where one is of another network than the first.
    """
    mean = {name: tensor.astype(np.float64) for name, tensor in _weights(runs[0], only).items()}
    shapes = {name: tensor.shape for name, tensor in mean.items()}
    for run in runs[1:]:
        weights = _weights(run, only)
        if {name: tensor.shape for name, tensor in weights.items()} != shapes:
            raise InputError(f"{run}: is another network than {runs[0]}", fix="Average runs of one encoder.")
        for name, tensor in weights.items():
            mean[name] += tensor
    return {name: (total / len(runs)).astype(np.float32) for name, total in mean.items()}


def _weights(run: Path, only: Container[str] | None) -> dict[str, np.ndarray]:
    try:
        weights = load_file(run / WEIGHTS_FILE)
        return {name: tensor for name, tensor in weights.items() if only is None or name in only}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{run / WEIGHTS_FILE}: cannot be read: {error}", fix="Train it again.") from error
