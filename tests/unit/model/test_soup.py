"""Averaging the weights of runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from deploy import cli
from model.bundle import MANIFEST_FILE, read_manifest
from model.errors import InputError
from model.network import WEIGHTS_FILE, TwoHeads
from model.soup import average
from model.train import RUN_FILE, read_run


@pytest.fixture
def other_run(tiny_run: Path, tmp_path: Path) -> Path:
    """The tiny run with every weight one higher."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    weights = load_file(run / WEIGHTS_FILE)
    save_file({name: tensor + 1 for name, tensor in weights.items()}, run / WEIGHTS_FILE)
    return run


def test_every_weight_is_the_mean(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    done = average([tiny_run, other_run, tiny_run, other_run], tmp_path / "mean")
    before, mean = load_file(tiny_run / WEIGHTS_FILE), load_file(tmp_path / "mean" / WEIGHTS_FILE)
    assert before.keys() == mean.keys()
    for name, tensor in before.items():
        np.testing.assert_allclose(mean[name], tensor + 0.5, atol=1e-6)
    assert len(done.averaged) == 4
    assert read_run(tmp_path / "mean") == done
    TwoHeads.load(tmp_path / "mean")


def test_several_runs_are_exported_as_one_bundle(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ["export", str(tiny_run), str(tiny_run), "--data", str(tiny_data), "--out", str(tmp_path / "bundle")]
    assert cli.run(arguments) == 0
    made = read_manifest(tmp_path / "bundle" / MANIFEST_FILE).made
    assert [one["seed"] for one in made["averaged"]] == [1, 1]


def test_runs_of_other_data_are_not_mixed(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    said = (other_run / RUN_FILE).read_text(encoding="utf-8")
    (other_run / RUN_FILE).write_text(said.replace('"rows": 120', '"rows": 121'), encoding="utf-8")
    with pytest.raises(InputError, match="was trained on other data"):
        average([tiny_run, other_run], tmp_path / "mean")


def test_another_network_is_named(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    weights = load_file(other_run / WEIGHTS_FILE)
    weights.popitem()
    save_file(weights, other_run / WEIGHTS_FILE)
    with pytest.raises(InputError, match="other: is another network"):
        average([tiny_run, other_run], tmp_path / "mean")
    (other_run / WEIGHTS_FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        average([tiny_run, other_run], tmp_path / "mean")
