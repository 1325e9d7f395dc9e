"""What a classifier must do before any document is given to it."""

import math
from collections.abc import Callable
from time import perf_counter

from model.classifier import Prediction, TextClassifier
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS

TEXTS = (
    "Shares were little changed in quiet trading.",
    "Regulator shuts down lender after run on deposits",
    "Chipmaker raises full-year outlook on record orders",
    "ok",
    "$ACME 🚀🚀 to the moon, 央行降息 — Zinssenkung erwartet",
    "The company said on Tuesday that it had agreed to sell its packaging unit for $1.2 billion in cash. " * 40,
)
"""Bad, good and plain news; almost nothing; signs of other scripts; more than any model's maximum length."""

SUM_TOLERANCE = 1e-3
"""Half precision and rounding stay below it, a missing softmax does not."""

SECONDS = 5.0
"""For these few texts, the second time they are asked: a classifier slower than this keeps up with no stream."""

_FIX = "nothing was changed; `finsentry classify` with this bundle as `model.bundle` shows what it answers"


def check_canary(
    classifier: TextClassifier, *, seconds: float = SECONDS, clock: Callable[[], float] = perf_counter
) -> None:
    """Raises `BundleError` that says what is wrong with the classifier's answers, or that they take too long."""
    _classify(classifier)  # the first run reserves memory
    began = clock()
    predictions = _classify(classifier)
    took = clock() - began
    if len(predictions) != len(TEXTS):
        raise BundleError(f"{classifier.version} gives {len(predictions)} predictions for {len(TEXTS)} texts", fix=_FIX)
    for text, prediction in zip(TEXTS, predictions, strict=True):
        if wrong := _wrong(prediction):
            raise BundleError(f"{classifier.version} says of {text[:50]!r}: {wrong}", fix=_FIX)
    if took > seconds:
        raise BundleError(
            f"{classifier.version} takes {took:.1f} s for {len(TEXTS)} texts; {seconds:.0f} s are allowed", fix=_FIX
        )


def _classify(classifier: TextClassifier) -> list[Prediction]:
    try:
        return classifier.classify(TEXTS)
    except Exception as error:
        raise BundleError(
            f"{classifier.version} fails on the canary texts: {type(error).__name__}: {error}", fix=_FIX
        ) from error


def _wrong(prediction: Prediction) -> str:
    probabilities = (prediction.topic_probability, *prediction.probabilities)
    if not all(math.isfinite(value) and 0 <= value <= 1 + SUM_TOLERANCE for value in probabilities):
        return f"probabilities {probabilities}"
    if abs(sum(prediction.probabilities) - 1) > SUM_TOLERANCE:
        return f"probabilities that sum to {sum(prediction.probabilities):.4f}"
    if prediction.topic not in TOPICS:
        return f"topic {prediction.topic!r}, which is not among the topics"
    if prediction.sentiment not in SENTIMENTS:
        return f"sentiment {prediction.sentiment!r}, which is not among the sentiments"
    return ""
