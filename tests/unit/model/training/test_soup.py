"""Averaging the weights of runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from deploy import cli
from model.bundle import MANIFEST_FILE, read_manifest
from model.data.splits import Splits
from model.errors import InputError
from model.evaluation.card import CARD_FILE, model_card
from model.export.release import release
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import RUN_FILE, read_run
from model.training.soup import average


def said_otherwise(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Lets `change` alter what the run says of itself."""
    said = json.loads((run / RUN_FILE).read_bytes())
    change(said)
    (run / RUN_FILE).write_text(json.dumps(said), encoding="utf-8")


@pytest.fixture
def twin(tiny_run: Path, tmp_path: Path) -> Path:
    """The tiny run as if another seed had led to the same weights."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "twin"))
    said_otherwise(run, lambda said: said["recipe"].update(seed=2))
    return run


@pytest.fixture
def other_run(twin: Path) -> Path:
    """The same with every weight one higher."""
    weights = load_file(twin / WEIGHTS_FILE)
    save_file({name: tensor + 1 for name, tensor in weights.items()}, twin / WEIGHTS_FILE)
    return twin


def test_every_weight_is_the_mean(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    done = average([tiny_run, other_run], tmp_path / "mean")
    before, mean = load_file(tiny_run / WEIGHTS_FILE), load_file(tmp_path / "mean" / WEIGHTS_FILE)
    assert before.keys() == mean.keys()
    for name, tensor in before.items():
        np.testing.assert_allclose(mean[name], tensor + 0.5, atol=1e-6)
    assert len(done.averaged) == 2
    assert read_run(tmp_path / "mean") == done
    TwoHeads.load(tmp_path / "mean")


def test_several_runs_are_exported_as_one_bundle(tiny_run: Path, twin: Path, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ["export", str(tiny_run), str(twin), "--data", str(tiny_data), "--out", str(tmp_path / "bundle")]
    assert cli.run(arguments) == 0
    manifest = read_manifest(tmp_path / "bundle" / MANIFEST_FILE)
    assert [one["seed"] for one in manifest.made["averaged"]] == [1, 2]
    alone = manifest.trainings[0]
    assert manifest.trainings == (alone, alone)
    in_float = {name: found["macro_f1"] for name, found in manifest.made["float32"].items()}
    assert {name: found.macro_f1 for name, found in alone.items()} == in_float, "the mean of two that are the same"
    assert (tmp_path / "bundle" / CARD_FILE).read_text(encoding="utf-8") == model_card(manifest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda recipe: recipe["sources"][0].update(holdout=0.1), r"sources\.things\.holdout: 0\.25 -> 0\.1"),
        (lambda recipe: recipe["training"].update(calibration=0.1), r"training\.calibration: 0\.2 -> 0\.1"),
        (lambda recipe: recipe["training"].update(epochs=1), r"training\.epochs: 8 -> 1"),
    ],
)
def test_runs_of_another_recipe_may_have_trained_what_the_first_holds_out(
    tiny_run: Path, twin: Path, tiny_splits: Splits, tmp_path: Path, change: Callable[[object], object], said: str
) -> None:
    said_otherwise(twin, lambda run: change(run["recipe"]))
    with pytest.raises(InputError, match=rf"twin: was trained by another recipe .*: {said}\n.*nothing but their seed"):
        average([tiny_run, twin], tmp_path / "mean")
    with pytest.raises(InputError, match=said):
        release([tiny_run, twin], tiny_splits, tmp_path / "bundle")


def test_a_run_from_before_a_key_came_into_recipes_is_as_if_it_had_its_default(
    tiny_run: Path, twin: Path, tmp_path: Path
) -> None:
    said_otherwise(twin, lambda run: run["recipe"].pop("language"))
    average([tiny_run, twin], tmp_path / "mean")


def test_one_run_given_twice_is_no_second_seed(tiny_run: Path, tiny_splits: Splits, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has seed 1, as .* has: the same training twice"):
        average([tiny_run, tiny_run, tiny_run], tmp_path / "mean")
    with pytest.raises(InputError, match="the same training twice"):
        release([tiny_run, tiny_run], tiny_splits, tmp_path / "bundle")


def test_an_interrupted_run_is_not_averaged_with_whole_ones(tiny_run: Path, twin: Path, tmp_path: Path) -> None:
    said_otherwise(twin, lambda said: said["losses"].pop())
    with pytest.raises(InputError, match=r"twin: has \d+ epochs, and .* \d+\n.*--resume"):
        average([tiny_run, twin], tmp_path / "mean")


def test_runs_that_began_at_other_weights_are_not_mixed(tiny_run: Path, twin: Path, tmp_path: Path) -> None:
    said_otherwise(twin, lambda said: said.update(encoder="0" * 16))
    with pytest.raises(InputError, match=r"twin: began at another encoder than"):
        average([tiny_run, twin], tmp_path / "mean")
    said_otherwise(twin, lambda said: said.pop("encoder"))
    average([tiny_run, twin], tmp_path / "mean")


def test_runs_of_other_data_are_not_mixed(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    said_otherwise(other_run, lambda said: said["data"]["moods.train"].update(rows=121))
    with pytest.raises(InputError, match="was trained on other data"):
        average([tiny_run, other_run], tmp_path / "mean")


def test_runs_of_other_rows_of_the_same_files_are_not_mixed(tiny_run: Path, twin: Path, tmp_path: Path) -> None:
    """Another version keeps other rows of the same files; one of before this was kept says nothing of it."""
    older = Path(shutil.copytree(twin, tmp_path / "older"))
    said_otherwise(older, lambda said: (said.pop("rows"), said["recipe"].update(seed=3)))
    said_otherwise(twin, lambda said: said.update(rows="0" * 16))
    with pytest.raises(
        InputError, match=r"twin: was trained on other rows of the same files than .*\n.*train one of them"
    ):
        average([older, tiny_run, twin], tmp_path / "mean")
    average([older, tiny_run], tmp_path / "mean")


def test_another_network_is_named(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    weights = load_file(other_run / WEIGHTS_FILE)
    weights.popitem()
    save_file(weights, other_run / WEIGHTS_FILE)
    with pytest.raises(InputError, match="twin: is another network"):
        average([tiny_run, other_run], tmp_path / "mean")
    (other_run / WEIGHTS_FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        average([tiny_run, other_run], tmp_path / "mean")
