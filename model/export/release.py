"""From a training run to a bundle: export, quantise, calibrate, measure, sign."""

import datetime
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from model.bundle import (
    FORMAT,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Bundle,
    Loss,
    Manifest,
    Passed,
    Precision,
    Scores,
    Temperatures,
    write_manifest,
)
from model.classifier import Classifier, open_tokenizer
from model.data.examples import key_of
from model.data.near_duplicates import SIMILARITY, near_duplicates
from model.data.recipe import LABELS, Recipe
from model.data.splits import Splits
from model.drift import ENOUGH_REFERENCE
from model.errors import InputError
from model.evaluation.calibrate import calibrate
from model.evaluation.card import CARD_FILE, model_card
from model.evaluation.checklist import run_checks, texts_of
from model.evaluation.checklists import CHECKLISTS
from model.evaluation.evaluate import Answers, against, answer, report, scores_without
from model.export.quantize import quantize
from model.export.to_onnx import ExportError, export, export_half
from model.labels import SENTIMENTS, TOPICS
from model.language import suits
from model.runtime import open_session
from model.settings import ModelSettings
from model.text import clean
from model.training.network import TwoHeads
from model.training.run import Run, read_run, recipe_of
from model.training.soup import average, require_alike
from model.training.tokenizer_file import read_tokenizer

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime")


LARGEST_LOSS = 0.005
"""Of macro-F1, that int8 or fp16 may cost on any set."""

SMALL_SET = 1000
"""Texts below which one flipped label can be half a point by itself: there the loss must be real besides."""

FLOAT32 = "float32"
"""In the manifest's `made`: what the same network scores before it is quantised."""

PARITY = "parity"
"""In `made`: the largest difference of a logit between the trained network and its ONNX, by precision."""

NEAR = "near_duplicates_share"
"""In `made`: the share of words from which on a held-out text counts as the near-duplicate of one that trains."""

LEARNED_CASES = "checks_that_nearly_train"
"""In `made`: texts of the checks that stand, or nearly stand, in what trains, and are therefore no proof."""

TEXTS_FOR_SCALES = 2048
"""Enough to see the largest activations: of the default bundle's weights int8 lost 0.6 points of macro-F1 on StockTwits
posts with 512, 0.2 with 1,024 and none with these."""


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
    with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as scratch:
        draft = Path(scratch) / precision
        run = runs[0]
        alone: list[dict[str, Scores]] = []
        if len(runs) > 1:
            for number, one in enumerate(runs):
                alone.append(_scores_of(one, Path(scratch) / str(number), splits, done))
            run = Path(scratch) / "mean"
            average(runs, run)
        trained, recipe = read_run(run), recipe_of(run)
        original = _made(Path(scratch) / "fp32")
        parity: dict[Precision, float] = {"fp32": _write_float32(run, original)}
        unmeasured = msgspec.structs.replace(_unmeasured(trained, recipe, "fp32"), trainings=tuple(alone))
        manifest, answers = _measured(original, unmeasured, splits, done)
        if precision != "fp32":
            shutil.copytree(original, draft, ignore=shutil.ignore_patterns(MODEL_FILE))
            if precision == "int8":
                texts = tokens_for_scales(Bundle(original, manifest), splits)
                quantize(original / MODEL_FILE, draft / MODEL_FILE, texts)
            else:
                parity["fp16"] = export_half(TwoHeads.load(run), draft / MODEL_FILE)
            unmeasured = msgspec.structs.replace(unmeasured, precision=precision, version=f"{recipe.name}-{precision}")
            before, in_float32 = answers, manifest.metrics
            manifest, answers = _measured(draft, unmeasured, splits, done)
            made = manifest.made | {FLOAT32: msgspec.to_builtins(in_float32)}
            manifest = msgspec.structs.replace(manifest, lost=losses(before, answers), made=made)
            if not allow_loss:
                require_no_loss(manifest, precision)
        manifest = msgspec.structs.replace(
            manifest,
            without_near_duplicates=scores_without(answers, _near_duplicates(splits)),
            made=manifest.made
            | {PARITY: parity, NEAR: SIMILARITY, LEARNED_CASES: learned_cases(manifest.language, splits)},
        )
        manifest = write_manifest(draft, profiled(draft, manifest, splits))
        (draft / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
        _made(folder)
        for name in (MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE, CARD_FILE):
            shutil.move(draft / name, folder / name)
    bundle = Bundle.load(folder)
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


def losses(before: Mapping[str, Answers], after: Mapping[str, Answers]) -> dict[str, Loss]:
    """Each set on which `after` lost more than half a point of macro-F1, whether that may be chance or not."""
    found = {name: differences["macro_f1"] for name, differences in against(before, after).items()}
    return {
        name: Loss(value=round(loss.value, 4), low=round(loss.low, 4), high=round(loss.high, 4))
        for name, loss in found.items()
        if loss.value > LARGEST_LOSS
    }


def require_no_loss(manifest: Manifest, precision: Precision = "int8") -> None:
    """Raises `ExportError` that names each set in `manifest.lost`, where the set is large or the loss no chance."""
    lost = [
        f"{name} by {100 * loss.value:.1f} ({100 * loss.low:.1f} to {100 * loss.high:.1f})"
        for name, loss in (manifest.lost or {}).items()
        if manifest.metrics[name].texts >= SMALL_SET or loss.low > 0
    ]
    if lost:
        raise ExportError(
            f"{precision} loses more than {100 * LARGEST_LOSS} points of macro-F1 against float32: {'; '.join(lost)}",
            fix="Export with --precision fp32, or accept the loss with --allow-loss.",
        )


def _write_float32(run: Path, folder: Path) -> float:
    """The run as ONNX in `folder`; returns how much that differs."""
    shutil.copyfile(run / TOKENIZER_FILE, _made(folder) / TOKENIZER_FILE)
    return export(TwoHeads.load(run), folder / MODEL_FILE)


def tokens_for_scales(bundle: Bundle, splits: Splits) -> list[list[int]]:
    """Token ids of texts like those that train, by which scales are chosen; none where none are held back."""
    texts = [clean(example.text) for example in splits.calibration[:: len(splits.calibration) // TEXTS_FOR_SCALES or 1]]
    return [encoding.ids for encoding in open_tokenizer(bundle).encode_batch_fast(texts)]


def _unmeasured(trained: Run, recipe: Recipe, precision: Precision) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=f"{recipe.name}-{precision}",
        precision=precision,
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


def _scores_of(run: Path, folder: Path, splits: Splits, done: Callable[[int], object]) -> dict[str, Scores]:
    _write_float32(run, folder)
    manifest, _ = _measured(folder, _unmeasured(read_run(run), recipe_of(run), "fp32"), splits, done)
    shutil.rmtree(folder)
    return manifest.metrics


def _measured(
    draft: Path, manifest: Manifest, splits: Splits, done: Callable[[int], object]
) -> tuple[Manifest, dict[str, Answers]]:
    with opened(Bundle(draft, manifest)) as classifier:
        temperatures = calibrate(classifier, splits.calibration)
        answers = answer(classifier, splits.evaluation, temperatures, done)
    return scored(msgspec.structs.replace(manifest, temperatures=temperatures), answers), answers


def scored(manifest: Manifest, answers: Mapping[str, Answers]) -> Manifest:
    """The manifest with how good the answers are."""
    reports = report(answers)
    return msgspec.structs.replace(
        manifest,
        metrics={name: found.scores for name, found in reports.items()},
        by_topic={name: found.by_topic for name, found in reports.items() if found.by_topic is not None},
    )


def profiled(draft: Path, manifest: Manifest, splits: Splits | None) -> Manifest:
    """The manifest with what the model in `draft` understands, and the profile of the texts that it is made for.

    Those are the calibration texts in its language, drawn from all that trains and did not train it: another language
    may train it besides, but will not come to it. Without any the profile stays as it is.
    """
    calibration = splits.calibration if splits is not None else ()
    texts = [example.text for example in calibration if suits(example.text, manifest.language)]
    with opened(Bundle(draft, manifest)) as classifier:
        if texts:
            classifier.classify(texts)
            # Before it reads anything else.
            manifest = msgspec.structs.replace(manifest, reference=classifier.reference())
            if len(texts) < ENOUGH_REFERENCE:
                logger.warning(
                    "drift will not be told: give training.calibration more rows texts=%d of=%d",
                    len(texts),
                    ENOUGH_REFERENCE,
                )
        checklist = {
            result.name: Passed(cases=result.cases, passed=result.cases - len(result.failures))
            for result in run_checks(CHECKLISTS.get(manifest.language, ()), classifier.classify)
        }
    return msgspec.structs.replace(manifest, checklist=checklist)


def opened(bundle: Bundle) -> Classifier:
    """The bundle as it will serve, without its bytes being verified: its manifest may not be written yet."""
    settings = ModelSettings()
    return Classifier(bundle, open_session(bundle, settings), settings)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
