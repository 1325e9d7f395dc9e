"""An interrupted training goes on to the very weights that it would have had."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from deploy.cli import INTERRUPTED, run
from model.bundle import TOKENIZER_FILE
from model.data.recipe import Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.training.checkpoint import CHECKPOINT_FILE
from model.training.loop import Progress
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import RUN_FILE, read_run
from model.training.train import log_progress, train

EPOCHS = 3


@pytest.fixture(scope="session")
def short(tiny_recipe: Recipe) -> Recipe:
    return changed(tiny_recipe, epochs=EPOCHS)


@pytest.fixture(scope="session")
def undisturbed(short: Recipe, tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(short, tiny_splits, folder)
    return folder


@pytest.fixture
def interrupted(short: Recipe, tiny_splits: Splits, tmp_path: Path) -> Path:
    """A run that Ctrl-C ended in its second epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(short, tiny_splits, tmp_path / "run", watch=ctrl_c(epoch=2))
    return tmp_path / "run"


def changed(recipe: Recipe, **training: Any) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update=training)})


def ctrl_c(epoch: int) -> Callable[[Progress], None]:
    """Interrupts in the middle of `epoch`."""

    def watch(progress: Progress) -> None:
        if progress.epoch == epoch and progress.step % (progress.steps // progress.epochs) == 5:
            raise KeyboardInterrupt

    return watch


def assert_same_weights(some: Path, others: Path) -> None:
    ours, theirs = load_file(some / WEIGHTS_FILE), load_file(others / WEIGHTS_FILE)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_the_weights_are_those_of_an_undisturbed_training(
    undisturbed: Path, interrupted: Path, short: Recipe, tiny_splits: Splits
) -> None:
    assert len(read_run(interrupted).losses) == 1
    done = train(short, tiny_splits, interrupted, resume=True)
    assert_same_weights(interrupted, undisturbed)
    assert done.losses == read_run(undisturbed).losses


def test_a_kill_between_weights_and_checkpoint_does_no_harm(
    undisturbed: Path, interrupted: Path, short: Recipe, tiny_splits: Splits
) -> None:
    """The weights are of a later epoch than the checkpoint: that epoch is trained once more."""
    for name in (WEIGHTS_FILE, RUN_FILE):
        shutil.copyfile(undisturbed / name, interrupted / name)
    train(short, tiny_splits, interrupted, resume=True)
    assert_same_weights(interrupted, undisturbed)


def test_a_kill_before_the_first_checkpoint_does_no_harm(
    undisturbed: Path, interrupted: Path, short: Recipe, tiny_splits: Splits
) -> None:
    (interrupted / CHECKPOINT_FILE).unlink()
    train(short, tiny_splits, interrupted, resume=True)
    assert_same_weights(interrupted, undisturbed)


@pytest.mark.parametrize("change", [{"losses": [0.3, 0.2]}, {"averaged": [{}, {}]}])
def test_what_took_several_epochs_or_trainings_is_not_begun_anew(
    interrupted: Path, short: Recipe, tiny_splits: Splits, change: dict[str, Any]
) -> None:
    (interrupted / CHECKPOINT_FILE).unlink()
    said = json.loads((interrupted / RUN_FILE).read_bytes())
    (interrupted / RUN_FILE).write_text(json.dumps(said | change), encoding="utf-8")
    with pytest.raises(InputError, match=r"holds a training, but no checkpoint\.pt to go on from"):
        train(short, tiny_splits, interrupted, resume=True)


def test_resuming_what_is_done_changes_nothing(
    undisturbed: Path, short: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    assert train(short, tiny_splits, run, resume=True) == read_run(undisturbed)
    assert_same_weights(run, undisturbed)


def test_resuming_where_nothing_is_begins(
    undisturbed: Path, short: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    train(short, tiny_splits, tmp_path / "run", resume=True)
    assert_same_weights(tmp_path / "run", undisturbed)


def test_another_recipe_is_not_resumed(interrupted: Path, short: Recipe, tiny_splits: Splits) -> None:
    with pytest.raises(InputError, match=r"another training: recipe\.training\.batch: 8 -> 16"):
        train(changed(short, batch=16), tiny_splits, interrupted, resume=True)


def test_sources_in_another_order_are_another_training(interrupted: Path, short: Recipe, tiny_splits: Splits) -> None:
    turned = short.model_copy(update={"sources": short.sources[::-1]})
    with pytest.raises(InputError, match=r"another training: order of sources: things, moods -> moods, things"):
        train(turned, tiny_splits, interrupted, resume=True)


def test_other_rows_of_the_same_files_are_another_training(
    undisturbed: Path, interrupted: Path, short: Recipe, tiny_splits: Splits
) -> None:
    """Another version keeps other rows, or gives one another label; a checkpoint of before this was kept goes on."""
    other = replace(tiny_splits, rows="0" * 16)
    with pytest.raises(
        InputError, match=rf"another training: rows that train: {tiny_splits.rows} -> 0+\n.*and version"
    ):
        train(short, other, interrupted, resume=True)
    state = torch.load(interrupted / CHECKPOINT_FILE, weights_only=True)
    del state["rows"]
    torch.save(state, interrupted / CHECKPOINT_FILE)
    assert train(short, tiny_splits, interrupted, resume=True).rows == tiny_splits.rows
    assert_same_weights(interrupted, undisturbed)


def test_a_training_is_not_resumed_beside_other_weights_than_it_began_at(
    interrupted: Path, short: Recipe, tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = interrupted / TOKENIZER_FILE
    written = tokenizer.stat().st_ino
    with monkeypatch.context() as patch:
        patch.setattr(TwoHeads, "digest", lambda _: "0" * 16)
        with pytest.raises(InputError, match=r"began at other weights than .*encoder.* has now"):
            train(short, tiny_splits, interrupted, resume=True)
    assert tokenizer.stat().st_ino == written, "the run keeps its own"
    assert train(short, tiny_splits, interrupted, resume=True).encoder != "0" * 16


def test_the_tokenizer_of_a_resumed_run_is_at_no_moment_another_one(
    interrupted: Path, short: Recipe, tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill while the network is prepared must not leave the encoder's whole vocabulary beside a cut network."""
    (interrupted / TOKENIZER_FILE).write_text("cut", encoding="utf-8")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("model.training.train.require_length", killed)
    with pytest.raises(KeyboardInterrupt):
        train(short, tiny_splits, interrupted, resume=True)
    assert (interrupted / TOKENIZER_FILE).read_text(encoding="utf-8") == "cut"
    assert not [path for path in interrupted.iterdir() if path.is_dir()]


def test_what_the_recipe_leaves_to_the_machine_is_compared_as_the_machine_chose_it(
    interrupted: Path, undisturbed: Path, short: Recipe, tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = read_run(interrupted).precision
    assert chosen is not None
    with monkeypatch.context() as patch:
        patch.setattr("model.training.train.choose_precision", lambda *_: "another")
        with pytest.raises(InputError, match=f"another training: precision: {chosen} -> another"):
            train(short, tiny_splits, interrupted, resume=True)
    train(changed(short, precision=chosen, device="cpu"), tiny_splits, interrupted, resume=True)
    assert_same_weights(interrupted, undisturbed)


def test_a_folder_that_holds_a_training_is_not_overwritten(
    undisturbed: Path, short: Recipe, tiny_splits: Splits
) -> None:
    with pytest.raises(InputError, match="holds a training already"):
        train(short, tiny_splits, undisturbed)


def test_a_cut_checkpoint_is_named(interrupted: Path, short: Recipe, tiny_splits: Splits) -> None:
    path = interrupted / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a checkpoint that can be read"):
        train(short, tiny_splits, interrupted, resume=True)


def test_progress_says_how_far_and_how_long(short: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    seen: list[Progress] = []
    seconds = iter(range(10_000))
    train(changed(short, epochs=2), tiny_splits, tmp_path / "run", watch=seen.append, clock=lambda: next(seconds))
    assert [progress.step for progress in seen] == list(range(1, seen[-1].steps + 1))
    assert {progress.epoch for progress in seen} == {1, 2}
    assert seen[-1].seconds_left == 0
    assert seen[0].seconds_left == seen[0].steps - 1  # a second a step


def test_a_log_line_comes_every_hundred_steps(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for step in range(1, 251):
            log_progress(Progress(1, 1, step, 250, 0.5, 9.0))
    assert [line.split()[2] for line in caplog.messages] == ["step=100", "step=200"]


def test_the_command_trains_with_other_epochs_and_seed_and_says_what_it_did(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--out", str(tmp_path / "run")]
    assert run([*arguments, "--epochs", "1", "--seed", "7", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["recipe"]["seed"], said["recipe"]["training"]["epochs"], len(said["losses"])) == (7, 1, 1)
    assert run(arguments) == 2
    assert "holds a training already" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("model.training.train.log_progress", ctrl_c(epoch=2))
    arguments = ["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--out", str(tmp_path / "run")]
    assert run(arguments) == INTERRUPTED
    assert "the same command with --resume goes on" in capsys.readouterr().err
