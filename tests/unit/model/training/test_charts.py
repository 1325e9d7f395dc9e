"""Where a training shows how it goes. MLflow is real and writes to files; TensorBoard is too large to be here."""

import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from deploy import cli
from model.data.recipe import Recipe, read_recipe
from model.data.splits import Splits
from model.errors import FinSentryError
from model.training.loop import Progress
from model.training.run import RUN_FILE
from model.training.train import train
from tests.unit.model.training.test_resuming import changed, ctrl_c


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where MLflow keeps its files, which it does only where it is asked twice."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return tmp_path / "mlruns"


@pytest.fixture
def recipe(tiny_recipe: Recipe, store: Path) -> Recipe:
    return changed(tiny_recipe, epochs=2, mlflow=str(store))


def runs(store: Path) -> list[Any]:
    client = MlflowClient(str(store))
    experiment = client.get_experiment_by_name("tiny")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def test_mlflow_gets_parameters_curves_and_scores(
    recipe: Recipe, tiny_splits: Splits, store: Path, tmp_path: Path
) -> None:
    done = train(recipe, tiny_splits, tmp_path / "run")
    (run,) = runs(store)
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["training.learning_rate"] == str(recipe.training.learning_rate)
    assert run.data.params["sources.things.labels.merger"] == "M&A | Investments"
    history = MlflowClient(str(store)).get_metric_history(run.info.run_id, "loss/epoch")
    assert [round(point.value, 6) for point in history] == done.losses
    assert {name for name in run.data.metrics if "/" in name and not name.startswith("loss")} == {
        f"{metric}/{name}"
        for metric in ("accuracy", "macro_f1")
        for name in ("things.holdout/topic", "moods.holdout/sentiment")
    }
    assert 0.2 < run.data.metrics["accuracy/moods.holdout/sentiment"] <= 1


def test_a_resumed_training_goes_on_in_the_same_run(
    recipe: Recipe, tiny_splits: Splits, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tiny_splits, tmp_path / "run", watch=ctrl_c(epoch=2))
    assert [run.info.status for run in runs(store)] == ["KILLED"]
    train(recipe, tiny_splits, tmp_path / "run", resume=True)
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    history = MlflowClient(str(store)).get_metric_history(run.info.run_id, "loss/epoch")
    assert len({point.step for point in history}) == 2


def test_the_address_stands_in_nothing_that_is_written(
    recipe: Recipe, tiny_splits: Splits, store: Path, tmp_path: Path
) -> None:
    train(recipe, tiny_splits, tmp_path / "run")
    assert str(store) not in (tmp_path / "run" / RUN_FILE).read_text(encoding="utf-8")
    assert b"mlruns" not in (tmp_path / "run" / "checkpoint.pt").read_bytes()


def test_a_server_that_is_gone_ends_no_training(
    recipe: Recipe, tiny_splits: Splits, store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(progress: Progress) -> None:
        if progress.step == 1:
            shutil.rmtree(store)

    assert len(train(recipe, tiny_splits, tmp_path / "run", watch=lose).losses) == 2
    assert caplog.text.count("MLflow takes no more") == 1


def test_a_server_that_cannot_be_reached_is_named_before_anything_is_trained(
    recipe: Recipe, tiny_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = changed(recipe, mlflow="http://127.0.0.1:1")
    with pytest.raises(FinSentryError, match=r"training\.mlflow: the tracking server cannot be used: .*\n.*Check that"):
        train(nobody, tiny_splits, tmp_path / "run")
    assert not (tmp_path / "run" / RUN_FILE).exists()


def test_a_password_in_the_address_is_told_nobody_where_the_server_cannot_be_reached(
    recipe: Recipe, tiny_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = changed(recipe, mlflow="http://somebody:secret@127.0.0.1:1")
    with pytest.raises(FinSentryError, match=r"//127\.0\.0\.1:1") as refused:
        train(nobody, tiny_splits, tmp_path / "run")
    assert "secret" not in str(refused.value)
    assert "somebody" not in str(refused.value)


def test_a_password_in_the_address_is_told_nobody_where_the_server_is_lost(
    recipe: Recipe,
    tiny_splits: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise OSError("request to http://somebody:secret@tracking.example/api failed")

    monkeypatch.setattr(MlflowClient, "log_metric", lost)
    train(changed(recipe, epochs=1), tiny_splits, tmp_path / "run")
    assert "MLflow takes no more" in caplog.text
    assert "http://tracking.example/api failed" in caplog.text
    assert "secret" not in caplog.text


def test_the_recipe_s_key_reaches_mlflow_through_the_command(tiny_data: Path, store: Path, tmp_path: Path) -> None:
    config = tiny_data / "with_mlflow.toml"
    text = (tiny_data / "recipe.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("epochs = 8", f"epochs = 1\nmlflow = '{store}'"), encoding="utf-8")
    assert read_recipe(config).training.mlflow == str(store)
    assert cli.run(["train", str(config), "--data", str(tiny_data), "--out", str(tmp_path / "run")]) == 0
    assert len(runs(store)) == 1


class Writer:
    """TensorBoard's, as far as it is used here."""

    def __init__(self, folder: str, *, purge_step: int) -> None:
        assert (Path(folder).name, purge_step) == ("tensorboard", 0)
        self.drawn: list[tuple[str, int]] = []
        self.closed = False
        Writer.last = self

    last: "Writer"

    def add_text(self, name: str, text: str) -> None:
        assert (name, "training.epochs = 1" in text) == ("recipe", True)

    def add_scalar(self, name: str, _value: float, step: int) -> None:
        self.drawn.append((name, step))

    def close(self) -> None:
        self.closed = True


def write_with(writer: type[Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    tensorboard = ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)


def test_curves_are_drawn_in_tensorboard(
    recipe: Recipe, tiny_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_with(Writer, monkeypatch)
    train(changed(recipe, epochs=1, tensorboard=True, mlflow=None), tiny_splits, tmp_path / "run")
    assert Writer.last.drawn[0][0] == "loss/epoch"
    assert {name.partition("/")[0] for name, _ in Writer.last.drawn} == {"loss", "accuracy", "macro_f1"}
    assert Writer.last.closed


class FullDisk(Writer):
    def add_scalar(self, name: str, _value: float, step: int) -> None:
        super().add_scalar(name, _value, step)
        raise OSError("no space left on device")


class FullAtTheEnd(Writer):
    def close(self) -> None:
        raise OSError("no space left on device")


@pytest.mark.parametrize("writer", [FullDisk, FullAtTheEnd])
def test_a_writer_that_fails_ends_no_training(
    recipe: Recipe,
    tiny_splits: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    writer: type[Writer],
) -> None:
    write_with(writer, monkeypatch)
    asked = changed(recipe, epochs=1, tensorboard=True, mlflow=None)
    assert len(train(asked, tiny_splits, tmp_path / "run").losses) == 1
    assert caplog.text.count("TensorBoard takes no more") == 1


@pytest.mark.parametrize(
    ("asked", "module", "package"),
    [
        ({"tensorboard": True, "mlflow": None}, "torch.utils.tensorboard", "tensorboard"),
        ({"mlflow": "mlruns"}, "mlflow.tracking", "mlflow-skinny"),
    ],
)
def test_what_is_not_installed_is_said_and_the_training_goes_on(
    asked: dict[str, Any],
    module: str,
    package: str,
    recipe: Recipe,
    tiny_splits: Splits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    train(changed(recipe, epochs=1, **asked), tiny_splits, tmp_path / "run")
    assert f"pip install {package}" in caplog.text
