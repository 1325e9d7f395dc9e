"""Temperatures of a model that is broken, or knows nothing."""

from collections.abc import Sequence

import numpy as np
import pytest

from model.bundle import Temperatures
from model.data.examples import Example
from model.errors import FinSentryError
from model.evaluation.calibrate import BOUNDS, calibrate
from model.runtime import Logits

TEXTS = [Example(f"text {number}", "sentiment", number % 3) for number in range(300)]


class Says:
    """A model whose sentiment logits are these."""

    temperatures = Temperatures()

    def __init__(self, moods: Logits) -> None:
        self._moods = moods

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        return np.zeros((len(texts), 20), np.float32), self._moods[: len(texts)]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_model_that_gives_no_numbers_has_no_temperature(broken: float) -> None:
    moods = np.zeros((len(TEXTS), 3), np.float32)
    moods[7, 1] = broken
    with pytest.raises(FinSentryError, match="no finite numbers for the sentiment of 1 of 300 texts"):
        calibrate(Says(moods), TEXTS)


def test_a_model_that_guesses_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    moods = np.random.default_rng(0).normal(scale=30, size=(len(TEXTS), 3)).astype(np.float32)
    assert calibrate(Says(moods), TEXTS).sentiment == pytest.approx(BOUNDS[1], rel=0.01)
    assert "the temperature is at its bound" in caplog.text


def test_a_model_that_knows_something_is_not(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    moods = rng.normal(size=(len(TEXTS), 3)).astype(np.float32)
    moods[np.arange(len(TEXTS)), [example.label for example in TEXTS]] += 2
    calibrate(Says(moods), TEXTS)
    assert "at its bound" not in caplog.text
