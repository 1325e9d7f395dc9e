"""How good a draft of a bundle is, and what it lost against float32: the manifest with its numbers.

What is measured is what will serve, loaded as it will be.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from model.bundle import Bundle, Loss, Manifest, Passed, Precision
from model.classifier import Classifier, open_tokenizer
from model.data.recipe import LABELS
from model.data.splits import Splits
from model.drift import ENOUGH_REFERENCE
from model.evaluation.calibrate import calibrate
from model.evaluation.checklist import run_checks
from model.evaluation.checklists import CHECKLISTS
from model.evaluation.evaluate import Answers, against, answer, report
from model.export.to_onnx import ExportError
from model.labels import Head
from model.language import suits
from model.runtime import open_session
from model.settings import ModelSettings

logger = logging.getLogger(__name__)

LARGEST_LOSS = 0.005
"""Of macro-F1, that int8 or fp16 may cost on any set."""

SMALL_SET = 1000
"""Texts below which one flipped label can be half a point by itself: there the loss must be real besides."""

FLOAT32 = "float32"
"""In the manifest's `made`: what the same network scores before it is quantised."""

PARITY = "parity"
"""In `made`: the largest difference of a logit between the trained network and its ONNX, by precision."""

TEXTS_FOR_SCALES = 2048
"""Enough to see the largest activations: of the default bundle's weights int8 lost 0.6 points of macro-F1 on StockTwits
posts with 512, 0.2 with 1,024 and none with these."""


class Measured(NamedTuple):
    """A manifest with how good its model is, and the answers that say so."""

    manifest: Manifest
    answers: Mapping[str, Answers]
    """By held-out set and head."""


def measure(
    draft: Path,
    manifest: Manifest,
    splits: Splits,
    done: Callable[[int], object],
    heads: Collection[Head] = tuple(LABELS),
) -> Measured:
    """Calibrates `heads` of the model in `draft`, and measures all; `done` is told how many texts more are."""
    with opened(Bundle(draft, manifest)) as classifier:
        found = calibrate(classifier, splits.calibration)
        changed = {head: getattr(found, head) for head in heads}
        temperatures = msgspec.structs.replace(manifest.temperatures, **changed)
        answers = answer(classifier, splits.evaluation, temperatures, done)
    return Measured(scored(msgspec.structs.replace(manifest, temperatures=temperatures), answers), answers)


def against_float32(
    original: Measured,
    quantised: Measured,
    precision: Precision,
    heads: Collection[Head] = tuple(LABELS),
    *,
    allow_loss: bool,
) -> Measured:
    """`quantised` that says what `heads` lost and what they score in float32; of others it says what it said.

    Raises `ExportError` where they lose what `require_no_loss` refuses, unless that is allowed.
    """
    names = {name for name in quantised.answers if name.rpartition("/")[2] in heads}
    lost = {name: loss for name, loss in losses(original.answers, quantised.answers).items() if name in names}
    in_float32 = {name: found for name, found in original.manifest.metrics.items() if name in names}
    manifest = quantised.manifest
    if not allow_loss:
        require_no_loss(msgspec.structs.replace(manifest, lost=lost), precision)
    made = manifest.made | {FLOAT32: manifest.made.get(FLOAT32, {}) | msgspec.to_builtins(in_float32)}
    return quantised._replace(manifest=msgspec.structs.replace(manifest, lost=(manifest.lost or {}) | lost, made=made))


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


def tokens_for_scales(bundle: Bundle, splits: Splits) -> list[list[int]]:
    """Token ids of texts like those that train, by which scales are chosen; none where none are held back."""
    texts = [example.text for example in splits.calibration[:: len(splits.calibration) // TEXTS_FOR_SCALES or 1]]
    return [encoding.ids for encoding in open_tokenizer(bundle).encode_batch_fast(texts)]


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
