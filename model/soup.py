"""The mean of several trainings' weights: one network, about as good as asking all of them.

Trainings that begin at the same pretrained weights end in one basin, and the middle of it is flatter and does better on
texts that none has seen (Wortsman et al. 2022, "Model soups").
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model.bundle import TOKENIZER_FILE
from model.errors import InputError
from model.network import CONFIG_FILE, WEIGHTS_FILE
from model.train import RUN_FILE, Run, read_run


def average(runs: Sequence[Path], out: Path) -> Run:
    """Writes the mean of `runs` as a run to `out`, and returns what it says of itself.

    Raises `InputError` where a folder holds no run, or one of another network or other data than the first.
    """
    trained = [read_run(run) for run in runs]
    for run, one in zip(runs, trained, strict=True):
        if one.data != trained[0].data:
            raise InputError(f"{run}: was trained on other data than {runs[0]}", fix="Average runs of one data folder.")
    mean = {name: tensor.astype(np.float64) for name, tensor in _weights(runs[0]).items()}
    shapes = {name: tensor.shape for name, tensor in mean.items()}
    for run in runs[1:]:
        weights = _weights(run)
        if {name: tensor.shape for name, tensor in weights.items()} != shapes:
            raise InputError(f"{run}: is another network than {runs[0]}", fix="Average runs of one encoder.")
        for name, tensor in weights.items():
            mean[name] += tensor
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: (total / len(runs)).astype(np.float32) for name, total in mean.items()}, out / WEIGHTS_FILE)
    for name in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(runs[0] / name, out / name)
    done = msgspec.structs.replace(
        trained[0], seconds=sum(one.seconds for one in trained), averaged=[one.recipe for one in trained]
    )
    (out / RUN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
    return done


def _weights(run: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(run / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{run / WEIGHTS_FILE}: cannot be read: {error}", fix="Train it again.") from error
