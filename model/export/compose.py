"""Two models to one bundle: a bundle whose one head is answered by a published model with a tokenizer of its own."""

import datetime
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from model.bundle import FILES, MODEL_FILE, Bundle, HeadModel, Manifest, Precision
from model.data.splits import Splits
from model.drift import Reference
from model.errors import InputError
from model.export.hub_head import HubHead
from model.export.measure import FLOAT32, PARITY, Measured, against_float32, measure, profiled, tokens_for_scales
from model.export.quantize import quantize
from model.export.replace import beside, finish
from model.labels import Head
from model.training.tokenizer_file import write_tokenizer

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "optimum", "optimum-onnx")

OF_HEAD: dict[Head, tuple[str, ...]] = {"topic": ("topics", "confidence"), "sentiment": ("sentiments",)}
"""What in a bundle's profile follows from the head: another model's answers are no drift."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the files of a published model are, and what the bundle will say of where they came from."""

    folder: Path
    name: str
    """`owner/model`, or the last part of a folder's name: where that lies says something of a machine alone."""
    commit: str | None = None


def compose(
    base: Bundle,
    model: HubHead,
    origin: Origin,
    folder: Path,
    precision: Precision = "fp32",
    splits: Splits | None = None,
    *,
    allow_loss: bool = False,
    done: Callable[[int], object] = lambda _: None,
) -> Bundle:
    """Makes `folder` the bundle whose one head `model` answers, and the other the model of `base`.

    With `splits` the head is calibrated and both heads are measured, as of any bundle; `done` is told how many texts
    more are. Without, the head keeps its own probabilities, and the bundle does not say how good they are.

    Raises `InputError` where the two cannot be composed so, and `ExportError` where the exported model computes
    something else, or loses in int8 what `require_no_loss` does not allow. `folder` is touched only at the end.
    """
    _require_composable(base, model, precision, splits)
    with beside(folder) as scratch:
        draft = scratch / "fp32"
        parity = _write_float32(base, model, origin, draft)
        made = _measured(draft, _unmeasured(base, model, origin, "fp32", parity), model.head, splits, done)
        if precision == "int8":
            original, draft = draft, Path(shutil.copytree(draft, scratch / precision))
            one = Bundle(original, made.manifest).heads()[model.head]
            texts = tokens_for_scales(one, splits) if splits else ()
            quantize(one.model_path, draft / model.head / MODEL_FILE, texts)
            after = _measured(draft, _unmeasured(base, model, origin, "int8", parity), model.head, splits, done)
            # The other head is the base's in both: what it lost, and its scores in float32, the base knows.
            made = against_float32(made, after, "int8", (model.head,), allow_loss=allow_loss)
        bundle = finish(folder, draft, profiled(draft, made.manifest, splits))
    logger.info("composed version=%s folder=%s", bundle.manifest.version, folder)
    return bundle


def texts_to_measure(splits: Splits | None, precision: Precision) -> int:
    """How many texts `compose` measures on."""
    return sum(map(len, splits.evaluation.values())) * (2 if precision == "int8" else 1) if splits else 0


def _require_composable(base: Bundle, model: HubHead, precision: Precision, splits: Splits | None) -> None:
    if base.manifest.heads:
        raise InputError(
            f"{base.folder}: is composed itself, and its models would be taken apart",
            fix="Give the bundle that it was composed of.",
        )
    if precision == "fp16":
        raise InputError(
            "fp16 is not made of published models: what their graph loses by it is not known", fix="Take int8 or fp32."
        )
    held_out = (example for rows in (splits.evaluation.values() if splits else ()) for example in rows)
    if precision == "int8" and not any(example.head == model.head for example in held_out):
        raise InputError(
            f"int8 without held-out texts that have a {model.head}: nothing would say what it loses",
            fix="Give --data, and with --recipe one that holds some out, or take --precision fp32.",
        )


def _write_float32(base: Bundle, model: HubHead, origin: Origin, draft: Path) -> float:
    """Both models in `draft`; returns by how much the new one differs from what it was made from."""
    (draft / model.head).mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(base.folder / name, draft / name)
    write_tokenizer(origin.folder, draft / model.head)
    return model.export(draft / model.head / MODEL_FILE)


def _unmeasured(base: Bundle, model: HubHead, origin: Origin, precision: Precision, parity: float) -> Manifest:
    old = base.manifest
    scores = {name: found for name, found in old.metrics.items() if not name.endswith(f"/{model.head}")}
    made = {
        **old.made,
        FLOAT32: {name: found for name, found in old.made.get(FLOAT32, {}).items() if name in scores},
        PARITY: {**old.made.get(PARITY, {}), f"{origin.name}'s fp32": parity},
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "composed": {
            "of": old.version,
            "head": model.head,
            "model": origin.name,
            "commit": origin.commit,
            "classes": model.classes,
            "libraries": {name: version(name) for name in LIBRARIES},
        },
    }
    return msgspec.structs.replace(
        old,
        version=f"{old.version}+{origin.name.rpartition('/')[2].lower()}-{precision}",
        heads={model.head: HeadModel(precision=precision, maximum_length=min(old.maximum_length, model.longest))},
        temperatures=msgspec.structs.replace(old.temperatures, **{model.head: 1.0}),
        metrics=scores,
        lost=old.lost and {name: loss for name, loss in old.lost.items() if name in scores},
        without_near_duplicates={n: found for n, found in old.without_near_duplicates.items() if n in scores},
        # Neither are of these two models together.
        trainings=(),
        by_topic={},
        checklist={},
        reference=_without(old.reference, OF_HEAD[model.head]),
        made=made,
    )


def _without(reference: Reference | None, features: tuple[str, ...]) -> Reference | None:
    if reference is None:
        return None
    counts = {name: values for name, values in reference.counts.items() if name not in features}
    return Reference(texts=reference.texts, counts=counts)


def _measured(
    draft: Path, manifest: Manifest, head: Head, splits: Splits | None, done: Callable[[int], object]
) -> Measured:
    """The manifest with temperature and scores, where there is something to measure on."""
    if splits is None:
        return Measured(manifest, {})
    measured, answers = measure(draft, manifest, splits, done, (head,))
    # What the base says of a set holds of what is measured now where the scores are the same.
    same = {name for name, scores in measured.metrics.items() if manifest.metrics.get(name) == scores}
    kept = {name: found for name, found in manifest.made[FLOAT32].items() if name in same}
    lost = manifest.lost and {name: loss for name, loss in manifest.lost.items() if name in same}
    far = {name: found for name, found in manifest.without_near_duplicates.items() if name in same}
    made = manifest.made | {FLOAT32: kept}
    return Measured(msgspec.structs.replace(measured, lost=lost, without_near_duplicates=far, made=made), answers)
