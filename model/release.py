"""From a training run to a bundle: export, quantise, calibrate, measure, sign."""

import argparse
import datetime
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
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
from model.data import Splits, load_splits
from model.errors import InputError
from model.evaluate import evaluate
from model.export import export
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeads
from model.quantize import quantize
from model.recipe import Recipe
from model.runtime import open_session
from model.settings import ModelSettings
from model.train import Run, read_run

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime")


def release(run: Path, splits: Splits, folder: Path, precision: Precision = "int8") -> Bundle:
    """Makes `folder` the bundle of `run`, measured as it will serve. What stands there is replaced only at the end.

    Raises `InputError` where `run` is no finished training or `splits` are not what it was trained on, and
    `ExportError` where the exported model computes something else.
    """
    trained = read_run(run)
    if trained.data != splits.fingerprints:
        raise InputError(
            f"{run}: was trained on other data than is given now, so what is held out may have trained it",
            fix="Give the data it was trained on, or train again.",
        )
    with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as scratch:
        draft = Path(scratch)
        _write_model(run, draft, precision)
        write_manifest(draft, _measured(draft, _unmeasured(trained, precision), splits))
        _made(folder)
        for name in (MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE):
            shutil.move(draft / name, folder / name)
    bundle = Bundle.load(folder)
    logger.info("released version=%s folder=%s", bundle.manifest.version, folder)
    return bundle


def _write_model(run: Path, draft: Path, precision: Precision) -> None:
    shutil.copyfile(run / TOKENIZER_FILE, draft / TOKENIZER_FILE)
    exported = draft / "exported.onnx"
    export(TwoHeads.load(run), exported)
    if precision == "int8":
        quantize(exported, draft / MODEL_FILE)
        exported.unlink()
    else:
        exported.rename(draft / MODEL_FILE)


def _unmeasured(trained: Run, precision: Precision) -> Manifest:
    recipe = Recipe.model_validate(trained.recipe)
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
            "libraries": {name: version(name) for name in LIBRARIES},
        },
    )


def _measured(draft: Path, manifest: Manifest, splits: Splits) -> Manifest:
    settings = ModelSettings()
    bundle = Bundle(draft, manifest)
    with Classifier(bundle, open_session(bundle, settings.provider), settings) as classifier:
        temperatures = calibrate(classifier, splits.calibration)
        reports = evaluate(classifier, splits.evaluation, temperatures)
    metrics = {name: report.scores for name, report in reports.items()}
    return msgspec.structs.replace(manifest, temperatures=temperatures, metrics=metrics)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.release", description=__doc__)
    parser.add_argument("run", type=Path, help="folder that model.train wrote")
    parser.add_argument("--data", type=Path, required=True, help="folder that the recipe's paths are relative to")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    recipe = Recipe.model_validate(read_run(options.run).recipe)
    bundle = release(options.run, load_splits(recipe, options.data), options.out, options.precision)
    for name, scores in bundle.manifest.metrics.items():
        logger.info("%s %s", name, scores)


if __name__ == "__main__":
    main()
