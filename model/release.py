"""From a training run to a bundle: export, quantise, calibrate, measure, sign."""

import datetime
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from model.bundle import (
    FORMAT,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Bundle,
    Manifest,
    Precision,
    Temperatures,
    write_manifest,
)
from model.calibrate import calibrate
from model.classifier import Classifier
from model.comparison import Difference
from model.data import Splits
from model.drift import Reference
from model.errors import InputError
from model.evaluate import Answers, against, answer, report
from model.export import ExportError, export
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeads
from model.quantize import quantize
from model.recipe import Recipe
from model.runtime import open_session
from model.settings import ModelSettings
from model.train import Run, read_run, recipe_of

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime")


LARGEST_LOSS = 0.005
"""Of macro-F1, that int8 may cost on any set."""

SMALL_SET = 1000
"""Texts below which one flipped label can be half a point by itself: there the loss must be real besides."""

FLOAT32 = "float32"
"""In the manifest's `made`: what the same network scores before it is quantised."""


def release(
    run: Path,
    splits: Splits,
    folder: Path,
    precision: Precision = "int8",
    *,
    allow_loss: bool = False,
    done: Callable[[int], object] = lambda _: None,
) -> Bundle:
    """Makes `folder` the bundle of `run`, measured as it will serve. What stands there is replaced only at the end.

    An int8 bundle is measured beside its float32 original; both stand in the manifest. Calls `done` with how many texts
    more are measured, of `texts_to_measure`. Raises `InputError` where `run` is no training or `splits` are not what it
    was trained on, and `ExportError` where the exported model computes something else, or int8 loses more than half a
    point of macro-F1 on a set and `allow_loss` does not say that this is wanted.
    """
    trained = read_run(run)
    if trained.data != splits.fingerprints:
        raise InputError(
            f"{run}: was trained on other data than is given now, so what is held out may have trained it",
            fix="Give the data it was trained on, or train again.",
        )
    with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as scratch:
        draft = Path(scratch) / precision
        original = _write_float32(run, Path(scratch) / "fp32")
        recipe = recipe_of(run)
        manifest, answers = _measured(original, _unmeasured(trained, recipe, "fp32"), splits, done)
        if precision == "int8":
            shutil.copytree(original, draft, ignore=shutil.ignore_patterns(MODEL_FILE))
            quantize(original / MODEL_FILE, draft / MODEL_FILE)
            quantised, after = _measured(draft, _unmeasured(trained, recipe, precision), splits, done)
            if not allow_loss:
                require_no_loss(answers, after)
            made = quantised.made | {FLOAT32: msgspec.to_builtins(manifest.metrics)}
            manifest = msgspec.structs.replace(quantised, made=made)
        write_manifest(draft, manifest)
        _made(folder)
        for name in (MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE):
            shutil.move(draft / name, folder / name)
    bundle = Bundle.load(folder)
    logger.info("released version=%s folder=%s", bundle.manifest.version, folder)
    return bundle


def texts_to_measure(splits: Splits, precision: Precision) -> int:
    """How many texts `release` measures on."""
    return sum(map(len, splits.evaluation.values())) * (2 if precision == "int8" else 1)


def require_no_loss(before: Mapping[str, Answers], after: Mapping[str, Answers]) -> None:
    """Raises `ExportError` that names each set on which `after` lost more than half a point of macro-F1."""
    lost = []
    for name, differences in against(before, after).items():
        loss = differences["macro_f1"]
        if loss.value > LARGEST_LOSS and (len(before[name].labels) >= SMALL_SET or loss.verdict == "better"):
            lost.append(f"{name} by {_points(loss)}")
    if lost:
        raise ExportError(
            f"int8 loses more than {100 * LARGEST_LOSS} points of macro-F1 against float32: {'; '.join(lost)}",
            fix="Export with --precision fp32, or accept the loss with --allow-loss.",
        )


def _points(loss: Difference) -> str:
    return f"{100 * loss.value:.1f} ({100 * loss.low:.1f} to {100 * loss.high:.1f})"


def _write_float32(run: Path, folder: Path) -> Path:
    _made(folder)
    shutil.copyfile(run / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    export(TwoHeads.load(run), folder / MODEL_FILE)
    return folder


def _unmeasured(trained: Run, recipe: Recipe, precision: Precision) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=f"{recipe.name}-{precision}",
        precision=precision,
        topics=TOPICS,
        sentiments=SENTIMENTS,
        maximum_length=recipe.training.maximum_length,
        temperatures=Temperatures(),
        files={},
        data=trained.data,
        made={
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            # Where somebody's own encoder lies says something of a machine, not of the model.
            "recipe": recipe.model_dump(mode="json", exclude={"encoder": {"folder"}}),
            "trained_on": trained.trained_on,
            "training_seconds": trained.seconds,
            "losses": trained.losses,
            # Of the trainings whose weights were averaged, where there were several.
            "averaged": [{"seed": one.get("seed"), "training": one.get("training")} for one in trained.averaged],
            "libraries": {name: version(name) for name in LIBRARIES},
        },
    )


def _measured(
    draft: Path, manifest: Manifest, splits: Splits, done: Callable[[int], object]
) -> tuple[Manifest, dict[str, Answers]]:
    settings = ModelSettings()
    bundle = Bundle(draft, manifest)
    with Classifier(bundle, open_session(bundle, settings.provider), settings) as classifier:
        temperatures = calibrate(classifier, splits.calibration)
        answers = answer(classifier, splits.evaluation, temperatures, done)
    metrics = {name: found.scores for name, found in report(answers).items()}
    measured = msgspec.structs.replace(manifest, temperatures=temperatures, metrics=metrics)
    reference = _reference(Bundle(draft, measured), splits)
    return msgspec.structs.replace(measured, reference=reference), answers


def _reference(bundle: Bundle, splits: Splits) -> Reference | None:
    """What the bundle is made for: the calibration texts are drawn from all that trains and did not train it."""
    if not splits.calibration:
        return None
    settings = ModelSettings()
    with Classifier(bundle, open_session(bundle, settings.provider), settings) as classifier:
        classifier.classify([example.text for example in splits.calibration])
        return classifier.reference()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
