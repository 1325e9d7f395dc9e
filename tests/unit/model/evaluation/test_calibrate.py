"""Temperatures of a model that is broken, or knows nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from model.bundle import Temperatures
from model.data.examples import Example
from model.errors import FinSentryError
from model.evaluation.calibrate import BOUNDS, ENOUGH, calibrate
from model.labels import Head
from model.runtime import Logits

TEXTS = [Example(f"text {number}", "sentiment", number % 3) for number in range(300)]


class Says:
    """A model whose sentiment logits are these."""

    temperatures = Temperatures()

    def __init__(self, moods: Logits) -> None:
        self._moods = moods

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        return np.zeros((len(texts), 20), np.float32), self._moods[: len(texts)]


class SaysByText:
    """A model whose logits for the text "7" are the rows 7 of these, and zeros for a head that has none."""

    temperatures = Temperatures()

    def __init__(self, logits: Mapping[Head, Logits]) -> None:
        self._logits = logits

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        rows = [int(text) for text in texts]
        topics = self._logits.get("topic", np.zeros((2000, 20), np.float32))
        return topics[rows], self._logits.get("sentiment", np.zeros((2000, 3), np.float32))[rows]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_model_that_gives_no_numbers_has_no_temperature(broken: float) -> None:
    moods = np.zeros((len(TEXTS), 3), np.float32)
    moods[7, 1] = broken
    with pytest.raises(FinSentryError, match="no finite numbers for the sentiment of 1 of 300 texts"):
        calibrate(Says(moods), TEXTS)


@pytest.mark.parametrize("head", ["topic", "sentiment"])
def test_a_head_is_tempered_by_its_own_texts(head: Head) -> None:
    """The other head's rows have labels that this head's logits know nothing of."""
    other: Head = "sentiment" if head == "topic" else "topic"
    rng = np.random.default_rng(0)
    true = rng.normal(scale=2, size=(2000, 3))
    labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)  # a draw from softmax(true)
    texts = [Example(str(number), head, int(label)) for number, label in enumerate(labels)]
    strangers = [Example(text.text, other, 2 - text.label) for text in texts[:700]]
    logits = np.full((2000, 20 if head == "topic" else 3), -30, np.float32)
    logits[:, :3] = 3 * true
    found = calibrate(SaysByText({head: logits}), [*strangers, *texts])
    assert getattr(found, head) == pytest.approx(3, rel=0.1)


def test_a_model_that_guesses_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    moods = np.random.default_rng(0).normal(scale=30, size=(len(TEXTS), 3)).astype(np.float32)
    assert calibrate(Says(moods), TEXTS).sentiment == pytest.approx(BOUNDS[1], rel=0.01)
    assert "the temperature is at its bound" in caplog.text


def test_a_model_that_is_never_wrong_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    moods = np.eye(3, dtype=np.float32)[[example.label for example in TEXTS]]
    assert calibrate(Says(moods), TEXTS).sentiment == pytest.approx(BOUNDS[0], rel=0.01)
    assert "the temperature is at its bound" in caplog.text


@pytest.mark.parametrize(("texts", "warned"), [(ENOUGH - 1, True), (ENOUGH, False)])
def test_a_handful_of_texts_is_warned_of(caplog: pytest.LogCaptureFixture, texts: int, warned: bool) -> None:
    calibrate(Says(np.zeros((texts, 3), np.float32)), TEXTS[:texts])
    assert (f"more rows head=sentiment texts={texts}" in caplog.text) == warned


def test_a_model_that_knows_something_is_not(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    moods = rng.normal(size=(len(TEXTS), 3)).astype(np.float32)
    moods[np.arange(len(TEXTS)), [example.label for example in TEXTS]] += 2
    calibrate(Says(moods), TEXTS)
    assert "at its bound" not in caplog.text
