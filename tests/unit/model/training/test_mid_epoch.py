"""What is kept in the middle of an epoch: every few minutes, and where Ctrl-C ends a training."""

import json
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from deploy.cli import INTERRUPTED, run
from model.data.recipe import Lora, Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.training.checkpoint import CHECKPOINT_FILE
from model.training.loop import Progress
from model.training.network import WEIGHTS_FILE
from model.training.run import RUN_FILE, read_run
from model.training.train import SAVE_SECONDS, steps_kept, train
from tests.unit.model.training.test_resuming import assert_same_weights, changed, ctrl_c


def stopped_at(
    step: int, recipe: Recipe, splits: Splits, folder: Path, *, resume: bool = False, **options: Any
) -> list[Progress]:
    """Trains until it is told to stop after `step`; returns what it told of its steps up to there."""
    stop, seen = Event(), list[Progress]()

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.step == step:
            stop.set()

    with pytest.raises(KeyboardInterrupt):
        train(recipe, splits, folder, resume=resume, watch=watch, listen=lambda: nullcontext(stop), **options)
    return seen


@pytest.fixture
def interrupted(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> Path:
    """A run of one epoch that was stopped after its fifth step."""
    stopped_at(5, changed(tiny_recipe, epochs=1), tiny_splits, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "training",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"adversarial": 0.5}, id="adversarial"),
        pytest.param({"lora": Lora(rank=4)}, id="adapters"),
    ],
)
def test_an_epoch_that_is_stopped_twice_ends_as_an_undisturbed_one(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path, training: dict[str, Any]
) -> None:
    recipe = changed(tiny_recipe, epochs=1, **training)
    whole: list[Progress] = []
    undisturbed = train(recipe, tiny_splits, tmp_path / "whole", watch=whole.append)
    seen = stopped_at(5, recipe, tiny_splits, tmp_path / "run")
    seen += stopped_at(9, recipe, tiny_splits, tmp_path / "run", resume=True)
    assert steps_kept(tmp_path / "run") == (9, whole[-1].steps)
    done = train(recipe, tiny_splits, tmp_path / "run", resume=True, watch=seen.append)
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    assert done.losses == undisturbed.losses
    assert [(one.step, one.loss) for one in seen] == [(one.step, one.loss) for one in whole]


def test_a_later_epoch_goes_on_too_and_those_after_it(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    recipe = changed(tiny_recipe, epochs=3)
    undisturbed = train(recipe, tiny_splits, tmp_path / "whole")
    _, steps = steps_kept(tmp_path / "whole") or (0, None)
    assert steps is not None
    stopped_at(steps // 3 + 5, recipe, tiny_splits, tmp_path / "run")
    assert len(read_run(tmp_path / "run").losses) == 1, "the run is what its whole epochs came to"
    done = train(recipe, tiny_splits, tmp_path / "run", resume=True)
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    assert done.losses == undisturbed.losses


def test_the_last_step_of_an_epoch_ends_it(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    recipe = changed(tiny_recipe, epochs=2)
    train(recipe, tiny_splits, tmp_path / "whole")
    _, steps = steps_kept(tmp_path / "whole") or (0, None)
    assert steps is not None
    stopped_at(steps // 2, recipe, tiny_splits, tmp_path / "run")
    assert len(read_run(tmp_path / "run").losses) == 1
    stopped_at(steps, recipe, tiny_splits, tmp_path / "run", resume=True)
    assert len(read_run(tmp_path / "run").losses) == 2
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def test_a_kill_costs_minutes(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    """Steps of 100 seconds: each third is kept. The time of what is lost is not counted."""
    recipe, folder, seconds = changed(tiny_recipe, epochs=1), tmp_path / "run", 0.0

    def slowly(watch: Callable[[Progress], object]) -> Callable[[Progress], None]:
        def watch_slowly(progress: Progress) -> None:
            nonlocal seconds
            seconds += SAVE_SECONDS / 3
            watch(progress)

        return watch_slowly

    train(recipe, tiny_splits, tmp_path / "whole", watch=slowly(lambda _: None), clock=lambda: seconds)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tiny_splits, folder, watch=slowly(ctrl_c(epoch=1)), clock=lambda: seconds)
    whole = read_run(tmp_path / "whole")
    assert steps_kept(folder) == (3, round(whole.seconds / 100))
    assert train(recipe, tiny_splits, folder, resume=True, watch=slowly(lambda _: None), clock=lambda: seconds) == whole
    assert_same_weights(folder, tmp_path / "whole")


def test_half_an_epoch_is_no_run_and_is_not_overwritten(
    interrupted: Path, tiny_recipe: Recipe, tiny_splits: Splits
) -> None:
    assert not (interrupted / WEIGHTS_FILE).exists()
    assert not (interrupted / RUN_FILE).exists()
    with pytest.raises(InputError, match=r"no training run: .*\n.*go on with its training by .*--resume"):
        read_run(interrupted)
    with pytest.raises(InputError, match=r"holds a training already\n.*--resume"):
        train(changed(tiny_recipe, epochs=1), tiny_splits, interrupted)


def test_a_checkpoint_of_before_steps_were_kept_goes_on(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    recipe = changed(tiny_recipe, epochs=2)
    train(recipe, tiny_splits, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tiny_splits, tmp_path / "run", watch=ctrl_c(epoch=2))
    file = tmp_path / "run" / CHECKPOINT_FILE
    state = torch.load(file, weights_only=True)
    del state["loop"]["epoch"], state["loop"]["steps"]
    torch.save(state, file)
    step, steps = steps_kept(tmp_path / "run") or (0, 0)
    assert step > 0
    assert steps is None
    train(recipe, tiny_splits, tmp_path / "run", resume=True)
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def signal_at(step: int) -> Callable[[Progress], None]:
    """Ctrl-C as a terminal sends it, while a step is under way."""

    def watch(progress: Progress) -> None:
        if progress.step == step:
            signal.raise_signal(signal.SIGINT)

    return watch


def test_ctrl_c_says_at_which_step_the_command_goes_on(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--epochs", "1", "--json"]
    assert run([*arguments, "--out", str(tmp_path / "whole")]) == 0
    whole = json.loads(capsys.readouterr().out)
    _, steps = steps_kept(tmp_path / "whole") or (0, 0)
    arguments += ["--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr("model.training.train.require_length", ctrl_c_at_once)
        assert run(arguments) == INTERRUPTED
        assert "interrupted; nothing is saved yet: the same command begins anew" in capsys.readouterr().err
    monkeypatch.setattr("model.training.train.log_progress", signal_at(5))
    assert run(arguments) == INTERRUPTED
    assert f"interrupted; the same command with --resume goes on at step 6 of {steps}\n" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr("model.training.train.require_length", ctrl_c_at_once)
        assert run([*arguments, "--resume"]) == INTERRUPTED
        assert f"goes on at step 6 of {steps}\n" in capsys.readouterr().err, "it has what was kept before"
    done = Path(shutil.copytree(tmp_path / "run", tmp_path / "done"))
    assert run([*arguments, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["losses"] == whole["losses"]
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    monkeypatch.setattr("model.training.train.log_progress", signal_at(steps or 0))
    assert run([*arguments[:-1], str(done), "--resume"]) == INTERRUPTED
    assert f"interrupted; all {steps} steps were done, and {done} is whole\n" in capsys.readouterr().err
    assert_same_weights(done, tmp_path / "whole")


def ctrl_c_at_once(*_: object) -> None:
    raise KeyboardInterrupt
