"""From a training run to a bundle: export, quantise, calibrate, measure, sign."""

import datetime
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from model.bundle import FORMAT, MODEL_FILE, TOKENIZER_FILE, Bundle, Manifest, Precision, Scores, Temperatures
from model.data.examples import key_of
from model.data.near_duplicates import SIMILARITY, near_duplicates
from model.data.recipe import LABELS, Recipe
from model.data.splits import Splits
from model.errors import InputError
from model.evaluation.checklist import texts_of
from model.evaluation.checklists import CHECKLISTS
from model.evaluation.evaluate import scores_without
from model.export.measure import PARITY, against_float32, measure, profiled, tokens_for_scales
from model.export.quantize import quantize
from model.export.replace import beside, finish
from model.export.to_onnx import export, export_half
from model.labels import SENTIMENTS, TOPICS
from model.training.network import TwoHeads
from model.training.run import Run, read_run, recipe_of
from model.training.soup import average, require_alike
from model.training.tokenizer_file import read_tokenizer

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime")

NEAR = "near_duplicates_share"
"""In `made`: the share of words from which on a held-out text counts as the near-duplicate of one that trains."""

LEARNED_CASES = "checks_that_nearly_train"
"""In `made`: texts of the checks that stand, or nearly stand, in what trains, and are therefore no proof."""


def release(
    runs: Sequence[Path],
    splits: Splits,
    folder: Path,
    precision: Precision = "int8",
    *,
    allow_loss: bool = False,
    done: Callable[[int], object] = lambda _: None,
) -> Bundle:
    """Makes `folder` the bundle of `runs`, measured as it will serve, with its model card.

    What stands there is replaced only at the end.
    Of several runs the weights are averaged, and each is measured by itself, which shows how much hangs on the seed.
    An int8 or fp16 bundle is measured beside its float32 original; both stand in the manifest. Calls `done` with how
    many texts more are measured, of `texts_to_measure`. Raises `InputError` where `runs` are not what `require_alike`
    asks, or `splits` not what they were trained on or nothing by which a loss would show, and `ExportError` where the
    exported model computes something else, or loses what `require_no_loss` refuses and `allow_loss` does not say that
    this is wanted.
    """
    if require_alike(runs)[0].data != splits.fingerprints:
        raise InputError(
            f"{runs[0]}: was trained on other data than is given now, so what is held out may have trained it",
            fix="Give the data it was trained on, or train again.",
        )
    _require_both_heads(runs[0], splits)
    for run in runs:
        read_tokenizer(run / TOKENIZER_FILE)  # what is opened later is a copy, and its name a temporary folder's
    if precision != "fp32" and not allow_loss:
        _require_held_out(runs[0], splits, precision)
    with beside(folder) as scratch:
        run, alone = _as_one(runs, scratch, splits, done)
        draft, recipe = scratch / "fp32", recipe_of(run)
        parity: dict[Precision, float] = {"fp32": _write_float32(run, draft)}
        unmeasured = msgspec.structs.replace(_unmeasured(read_run(run), recipe), trainings=alone)
        made = measure(draft, unmeasured, splits, done)
        if precision != "fp32":
            original, draft = draft, Path(shutil.copytree(draft, scratch / precision))
            if precision == "int8":
                texts = tokens_for_scales(Bundle(original, made.manifest), splits)
                quantize(original / MODEL_FILE, draft / MODEL_FILE, texts)
            else:
                parity["fp16"] = export_half(TwoHeads.load(run), draft / MODEL_FILE)
            unmeasured = msgspec.structs.replace(unmeasured, precision=precision, version=f"{recipe.name}-{precision}")
            after = measure(draft, unmeasured, splits, done)
            made = against_float32(made, after, precision, allow_loss=allow_loss)
        known = {PARITY: parity, NEAR: SIMILARITY, LEARNED_CASES: learned_cases(recipe.language, splits)}
        manifest = msgspec.structs.replace(
            made.manifest,
            without_near_duplicates=scores_without(made.answers, _near_duplicates(splits)),
            made=made.manifest.made | known,
        )
        bundle = finish(folder, draft, profiled(draft, manifest, splits))
    logger.info("released version=%s folder=%s", bundle.manifest.version, folder)
    return bundle


def _require_both_heads(run: Path, splits: Splits) -> None:
    """Raises `InputError` where nothing trained a head: its answers would be as good as drawn, and be counted."""
    for head in LABELS:
        if not any(example.head == head for example in splits.train):
            raise InputError(
                f"{run}: no source of its recipe trained the {head}, so what it would say of that is chance",
                fix=f"Add a source with the head {head} and train again.",
            )


def _require_held_out(run: Path, splits: Splits, precision: Precision) -> None:
    """Raises `InputError` where nothing held out has a label of a head: what that loses would be let through unseen."""
    for head in LABELS:
        if not any(example.head == head for rows in splits.evaluation.values() for example in rows):
            raise InputError(
                f"{run}: its recipe holds out no text that has a {head}, so nothing would say what {precision} loses",
                fix="Give a source with that head `evaluation` or `holdout` and train again, export with"
                " --precision fp32, or accept a loss that nobody knows with --allow-loss.",
            )


def texts_to_measure(splits: Splits, precision: Precision, runs: int = 1) -> int:
    """How many texts `release` measures on."""
    times = (runs if runs > 1 else 0) + (1 if precision == "fp32" else 2)
    return sum(map(len, splits.evaluation.values())) * times


def _as_one(
    runs: Sequence[Path], scratch: Path, splits: Splits, done: Callable[[int], object]
) -> tuple[Path, tuple[dict[str, Scores], ...]]:
    """The one run, or the mean of several and what each scores alone in float32."""
    if len(runs) == 1:
        return runs[0], ()
    alone = []
    for run in runs:
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            _write_float32(run, draft := Path(name) / "fp32")
            unmeasured = _unmeasured(read_run(run), recipe_of(run))
            alone.append(measure(draft, unmeasured, splits, done).manifest.metrics)
    average(runs, mean := scratch / "mean")
    return mean, tuple(alone)


def _write_float32(run: Path, draft: Path) -> float:
    """The run as ONNX in `draft`; returns how much that differs."""
    draft.mkdir()
    shutil.copyfile(run / TOKENIZER_FILE, draft / TOKENIZER_FILE)
    return export(TwoHeads.load(run), draft / MODEL_FILE)


def _unmeasured(trained: Run, recipe: Recipe) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=f"{recipe.name}-fp32",
        precision="fp32",
        language=recipe.language,
        topics=TOPICS,
        sentiments=SENTIMENTS,
        maximum_length=recipe.training.maximum_length,
        temperatures=Temperatures(),
        files={},
        data=trained.data,
        made={
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "recipe": _without_places(recipe),
            "encoder": trained.encoder,
            "trained_on": trained.trained_on,
            "trained_with": {"torch": trained.torch, "device": trained.device, "precision": trained.precision},
            "training_seconds": trained.seconds,
            "losses": trained.losses,
            # With how much weight, and by whom, where there were teachers.
            "taught": None
            if trained.taught is None
            else {
                "weight": trained.taught.weight,
                "by": [f"{one.get('name')}, seed {one.get('seed')}" for one in trained.taught.by],
                "begins_at_mean": trained.taught.begins_at_mean,
            },
            # Of the trainings whose weights were averaged, where there were several.
            "averaged": [{"seed": one.get("seed"), "training": one.get("training")} for one in trained.averaged],
            "libraries": {name: version(name) for name in LIBRARIES},
        },
    )


def _without_places(recipe: Recipe) -> dict[str, object]:
    """The recipe as a bundle tells it: the path of somebody's own encoder says something of a machine, its name not."""
    folder = recipe.encoder.folder
    encoder = recipe.encoder.model_copy(update={"folder": folder and folder.name})
    return recipe.model_copy(update={"encoder": encoder}).model_dump(mode="json")


def _near_duplicates(splits: Splits) -> frozenset[str]:
    held_out = (example.key for rows in splits.evaluation.values() for example in rows)
    return near_duplicates(held_out, (example.key for example in splits.train))


def learned_cases(language: str, splits: Splits) -> list[str]:
    """Texts of the language's checks that are one that trains, or a near-duplicate of one."""
    keys = {text: key_of(text) for text in texts_of(CHECKLISTS.get(language, ()))}
    near = near_duplicates(keys.values(), (example.key for example in splits.train))
    return [text for text, key in keys.items() if key in near]
