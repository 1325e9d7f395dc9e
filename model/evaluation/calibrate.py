"""Temperature scaling (Guo et al. 2017): one number a head, so that a probability of 0.8 is right in 80 of 100."""

import logging
import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from model.bundle import Temperatures
from model.classifier import softmax
from model.data.examples import Example
from model.evaluation.evaluate import Measurable
from model.evaluation.metrics import Labels, negative_log_likelihood, require_finite
from model.labels import Head
from model.runtime import Logits

# A head that asks for more than this is broken, not badly calibrated.
BOUNDS = (0.25, 8.0)

AT_BOUND = 1.01
"""Times a bound: the search ends a little within it."""

ENOUGH = 200
"""Texts: of fewer, a handful decide."""

logger = logging.getLogger(__name__)


def temperature(logits: Logits, labels: Labels) -> float:
    """The divisor of `logits` (n x classes) that makes the labels most likely; 1 where there are none."""
    if not len(labels):
        return 1.0
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(softmax(logits / math.exp(log_t)), labels),
        bounds=(math.log(BOUNDS[0]), math.log(BOUNDS[1])),
        method="bounded",
    )
    return round(math.exp(found.x), 4)


def calibrate(classifier: Measurable, held_out: Sequence[Example]) -> Temperatures:
    """Temperatures of both heads from texts that did not train them.

    Raises `FinSentryError` where the model gives no finite numbers.
    """
    return Temperatures(
        topic=_of_head(classifier, held_out, "topic"), sentiment=_of_head(classifier, held_out, "sentiment")
    )


def _of_head(classifier: Measurable, held_out: Sequence[Example], head: Head) -> float:
    rows = [example for example in held_out if example.head == head]
    logits = classifier.logits([example.text for example in rows])[0 if head == "topic" else 1]
    require_finite(logits, head)
    found = temperature(logits, np.array([example.label for example in rows], dtype=np.int64))
    if len(rows) < ENOUGH:
        logger.warning(
            "hardly calibrated: give training.calibration more rows head=%s texts=%d temperature=%s",
            head,
            len(rows),
            found,
        )
    if not BOUNDS[0] * AT_BOUND < found < BOUNDS[1] / AT_BOUND:
        logger.warning(
            "the temperature is at its bound, so the model knows next to nothing of these texts head=%s temperature=%s",
            head,
            found,
        )
    return found
