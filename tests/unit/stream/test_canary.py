from collections.abc import Sequence

import pytest

from model.classifier import Prediction, TextClassifier
from model.errors import BundleError
from stream.canary import TEXTS, check_canary

GOOD = Prediction("Macro", 0.9, "neutral", (0.1, 0.8, 0.1))


class Answers(TextClassifier):
    """Answers every text with the same, and leaves some out."""

    version = "candidate"

    def __init__(self, prediction: Prediction = GOOD, *, missing: int = 0) -> None:
        self._prediction = prediction
        self._missing = missing

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return [self._prediction] * (len(texts) - self._missing)


class Broken(Answers):
    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        raise IndexError(f"token of {len(texts)} texts")


def test_a_sound_classifier_passes() -> None:
    check_canary(Answers())


@pytest.mark.parametrize(
    ("prediction", "said"),
    [
        (GOOD._replace(probabilities=(float("nan"), 0.5, 0.5)), "nan"),
        (GOOD._replace(topic_probability=float("inf")), "inf"),
        (GOOD._replace(probabilities=(-0.1, 1.0, 0.1)), "-0.1"),
        (GOOD._replace(probabilities=(0.5, 0.5, 0.5)), "sum to 1.5000"),
        (GOOD._replace(topic="Weather"), "'Weather'"),
        (GOOD._replace(sentiment="bullish"), "'bullish'"),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_is_none_is_named_with_its_text(prediction: Prediction, said: str) -> None:
    with pytest.raises(BundleError, match=said) as caught:
        check_canary(Answers(prediction))
    assert "candidate" in caught.value.message
    assert repr(TEXTS[0]) in caught.value.message
    assert caught.value.fix


def test_a_missing_answer_and_an_error_are_said() -> None:
    with pytest.raises(BundleError, match=f"gives {len(TEXTS) - 1} predictions for {len(TEXTS)} texts"):
        check_canary(Answers(missing=1))
    with pytest.raises(BundleError, match="IndexError: token of"):
        check_canary(Broken())


def test_slowness_is_an_error() -> None:
    times = iter([100.0, 107.5])
    with pytest.raises(BundleError, match=r"takes 7\.5 s"):
        check_canary(Answers(), clock=lambda: next(times))


def test_what_only_the_first_run_takes_is_not_held_against_a_bundle() -> None:
    now = [0.0]

    class Warms(Answers):
        seconds = 60.0

        def classify(self, texts: Sequence[str]) -> list[Prediction]:
            now[0] += self.seconds
            self.seconds = 1.0
            return super().classify(texts)

    check_canary(Warms(), clock=lambda: now[0])
