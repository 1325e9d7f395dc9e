"""Where a training shows how it goes: TensorBoard, MLflow, both or nowhere. A chart that fails ends no training."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from model.data.recipe import Recipe
from model.errors import FinSentryError
from model.nested import flat

logger = logging.getLogger(__name__)

TENSORBOARD_FOLDER = "tensorboard"
MLFLOW_FILE = "mlflow.json"
"""In a run: which of MLflow's runs it is, so that a resumed training goes on with the same curves."""

AT_ONCE = 100
"""Parameters in one request: MLflow takes no more."""


class Chart(Protocol):
    """One place where parameters and curves are kept."""

    def parameters(self, values: Mapping[str, object]) -> None:
        """What the training was asked for, by dotted key."""

    def draw(self, name: str, value: float, step: int) -> None:
        """A point of the curve `name`."""


class Charts:
    """Every chart that the recipe asks for and that is installed; without any, nothing is kept."""

    def __init__(self, charts: Sequence[Chart]) -> None:
        self._charts = charts

    def __bool__(self) -> bool:
        return bool(self._charts)

    def parameters(self, values: Mapping[str, object]) -> None:
        for chart in self._charts:
            chart.parameters(values)

    def draw(self, name: str, value: float, step: int) -> None:
        for chart in self._charts:
            chart.draw(name, value, step)


@contextmanager
def open_charts(recipe: Recipe, run: Path, step: int) -> Iterator[Charts]:
    """The charts of the recipe's training, which has come to `step`. A library that is not installed is a warning.

    Raises `FinSentryError` where MLflow cannot be reached at the start: better then than after hours.
    """
    training = recipe.training
    with ExitStack() as stack:
        charts: list[Chart] = []
        if training.tensorboard:
            charts += _if_installed(stack, "TensorBoard", "tensorboard", lambda: _tensorboard(run, step))
        if training.mlflow is not None:
            uri = training.mlflow
            charts += _if_installed(stack, "MLflow", "mlflow-skinny", lambda: _mlflow(uri, recipe, run))
        found = Charts(charts)
        found.parameters(flat(recipe.model_dump(mode="json")))
        yield found


def _if_installed(
    stack: ExitStack, name: str, package: str, opened: Callable[[], AbstractContextManager[Chart]]
) -> list[Chart]:
    try:
        return [stack.enter_context(opened())]
    except ImportError:
        logger.warning("the recipe asks for %s, which is not installed: pip install %s", name, package)
        return []


class _Guarded:
    """A chart whose first point that cannot be written is the last that is tried: retries take minutes."""

    name: str

    def __init__(self) -> None:
        self._lost = False

    def _try(self, call: Any, *arguments: object, **options: object) -> None:
        if self._lost:
            return
        try:
            call(*arguments, **options)
        except Exception as error:  # whatever the store raises: an hour's training is worth more than its curve
            self._lost = True
            logger.warning("%s takes no more, and the training goes on without it: %s", self.name, _told(error))


class _TensorBoard(_Guarded):
    name = "TensorBoard"

    def __init__(self, writer: Any) -> None:
        super().__init__()
        self._writer = writer

    def parameters(self, values: Mapping[str, object]) -> None:
        lines = "\n".join(f"    {key} = {json.dumps(value)}" for key, value in values.items())
        self._try(self._writer.add_text, "recipe", lines)

    def draw(self, name: str, value: float, step: int) -> None:
        self._try(self._writer.add_scalar, name, value, step)

    def end(self) -> None:
        self._try(self._writer.close)


@contextmanager
def _tensorboard(run: Path, step: int) -> Iterator[Chart]:
    """Event files in `run`; TensorBoard itself is too large to depend on."""
    from torch.utils.tensorboard import SummaryWriter

    # What an interrupted epoch drew after the checkpoint is drawn again.
    chart = _TensorBoard(SummaryWriter(str(run / TENSORBOARD_FOLDER), purge_step=step))
    try:
        yield chart
    finally:
        chart.end()


class _MLflow(_Guarded):
    """A run of MLflow."""

    name = "MLflow"

    def __init__(self, client: Any, run_id: str) -> None:
        super().__init__()
        self._client = client
        self._run_id = run_id

    def parameters(self, values: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        params = [Param(_key(key), str(value)) for key, value in values.items()]
        for start in range(0, len(params), AT_ONCE):  # the same ones again, at a resumption, are no error to it
            self._try(self._client.log_batch, self._run_id, params=params[start : start + AT_ONCE])

    def draw(self, name: str, value: float, step: int) -> None:
        self._try(self._client.log_metric, self._run_id, _key(name), value, step=step)

    def end(self, status: str) -> None:
        self._try(self._client.set_terminated, self._run_id, status=status)


@contextmanager
def _mlflow(uri: str, recipe: Recipe, run: Path) -> Iterator[Chart]:
    # Two tries more, not seven, and no word to its makers of who trains what: both hold where nothing else is set.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri)
        run_id = _begin(client, recipe, run)
    except Exception as error:  # its own, those of `requests`, and those of any store
        raise FinSentryError(
            f"training.mlflow: the tracking server cannot be used: {_told(error).partition(chr(10))[0]}",
            fix="Check that it runs and takes new experiments, or take the key out of the recipe.",
        ) from error
    chart = _MLflow(client, run_id)
    try:
        yield chart
    except BaseException as error:
        chart.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    chart.end("FINISHED")


def _begin(client: Any, recipe: Recipe, run: Path) -> str:
    """The id of MLflow's run for `run`: the one that was begun before, or a new one in the recipe's experiment."""
    file = run / MLFLOW_FILE
    if file.exists():
        known = str(json.loads(file.read_text(encoding="utf-8"))["run_id"])
        client.update_run(known, status="RUNNING")
        return known
    experiment = client.get_experiment_by_name(recipe.name)
    in_experiment = experiment.experiment_id if experiment else client.create_experiment(recipe.name)
    begun = str(client.create_run(in_experiment, run_name=run.name).info.run_id)
    file.write_text(json.dumps({"run_id": begun}), encoding="utf-8")
    return begun


def _told(error: Exception) -> str:
    """What it says, without the user and password of an address that stands in it."""
    return re.sub(r"//[^/\s]*@", "//", str(error))


def _key(name: str) -> str:
    """`name` with what MLflow allows in keys: `M&A` in a label map is not among it."""
    return "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in name)
