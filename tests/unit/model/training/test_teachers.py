"""Runs that teach another one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from deploy import cli
from model.data.recipe import Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import read_run
from model.training.step import IGNORED, Row, Step, distance_to
from model.training.train import train
from tests.unit.model.training.test_soup import said_otherwise


def test_the_distance_is_least_at_the_teachers_own_answers() -> None:
    topics, sentiments = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.25, 0.25]])
    least = distance_to((topics, sentiments), (topics.log(), sentiments.log()))
    entropy = -sum((p * p.log()).sum() for p in (topics, sentiments)) / 2
    assert float(least) == pytest.approx(float(entropy), abs=1e-6)
    assert distance_to((topics, sentiments), (topics.log().flip(1), sentiments.log())) > least


def test_a_head_without_a_label_learns_from_the_answer(tiny_run: Path, tiny_recipe: Recipe) -> None:
    network = TwoHeads.load(tiny_run).train()
    before = network.sentiment.weight.detach().clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    row = Row([2, 5, 3], topic=1, sentiment=IGNORED)
    Step(network, optimiser, tiny_recipe.training)([row])
    assert torch.equal(before, network.sentiment.weight)
    answers = (np.full(20, 0.05), np.array([1.0, 0.0, 0.0]))
    Step(network, optimiser, tiny_recipe.training)([Row([2, 5, 3], topic=1, sentiment=IGNORED, answers=answers)])
    assert not torch.equal(before, network.sentiment.weight)


def test_a_pupil_begins_where_its_teachers_are_and_says_who_they_were(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    slow = tiny_recipe.training.distillation.model_copy(update={"learning_rate": 1e-12})
    recipe = tiny_recipe.model_copy(
        update={"seed": 7, "training": tiny_recipe.training.model_copy(update={"distillation": slow})}
    )
    done = train(recipe, tiny_splits, tmp_path / "pupil", teachers=[tiny_run])
    teacher, pupil = load_file(tiny_run / WEIGHTS_FILE), load_file(tmp_path / "pupil" / WEIGHTS_FILE)
    for name, weights in teacher.items():
        np.testing.assert_allclose(pupil[name], weights, atol=1e-6)
    assert done.taught is not None
    assert done.taught.weight == slow.weight
    assert [one["seed"] for one in done.taught.by] == [tiny_recipe.seed]
    assert len(done.losses) == slow.epochs
    with pytest.raises(InputError, match="was taught itself"):
        train(recipe, tiny_splits, tmp_path / "grandchild", teachers=[tmp_path / "pupil"])


def test_a_teacher_of_another_recipe_may_know_what_is_measured_on(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    strange = Path(shutil.copytree(tiny_run, tmp_path / "strange"))
    said_otherwise(strange, lambda said: said["recipe"]["training"].update(calibration=0.25))
    with pytest.raises(InputError, match=r"another recipe: training\.calibration: 0\.25 -> "):
        train(tiny_recipe, tiny_splits, tmp_path / "pupil", teachers=[strange])
    said_otherwise(strange, lambda said: said["data"].clear())
    with pytest.raises(InputError, match="other data"):
        train(tiny_recipe, tiny_splits, tmp_path / "pupil", teachers=[strange])


def test_the_command_takes_teachers(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--out", str(tmp_path / "pupil")]
    assert cli.run([*arguments, "--seed", "3", "--epochs", "2", "--teacher", str(tiny_run)]) == 0
    done = read_run(tmp_path / "pupil")
    assert done.taught is not None
    assert len(done.losses) == 2, "the epochs asked for are the pupil's"
