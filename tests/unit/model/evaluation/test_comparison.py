import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.classifier import softmax
from model.evaluation.comparison import compare
from model.evaluation.metrics import Labels, Probabilities, accuracy, macro_f1


def guesses(seed: int, labels: Labels, right: float) -> Probabilities:
    """Probabilities of 3 classes whose most probable one is the label in about `right` of the rows."""
    rng = np.random.default_rng(seed)
    called = np.where(rng.random(len(labels)) < right, labels, rng.integers(0, 3, len(labels)))
    return softmax(np.eye(3, dtype=np.float32)[called] * np.float32(3))


@pytest.fixture
def labels() -> Labels:
    return np.random.default_rng(0).integers(0, 3, 1000)


def test_a_clear_lead_is_real_from_both_sides(labels: Labels) -> None:
    good, bad = guesses(1, labels, 0.8), guesses(2, labels, 0.5)
    assert {difference.verdict for difference in compare(good, bad, labels).values()} == {"better"}
    assert {difference.verdict for difference in compare(bad, good, labels).values()} == {"worse"}


def test_equally_good_bundles_do_not_differ(labels: Labels) -> None:
    found = compare(guesses(1, labels, 0.7), guesses(2, labels, 0.7), labels)
    assert {difference.verdict for difference in found.values()} == {"no real difference"}


def test_a_bundle_does_not_differ_from_itself(labels: Labels) -> None:
    one = guesses(1, labels, 0.7)
    assert {(d.value, d.low, d.high) for d in compare(one, one, labels).values()} == {(0.0, 0.0, 0.0)}


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_the_difference_is_that_of_the_metrics(seed: int, rows: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, rows)
    one, other = guesses(seed + 1, labels, 0.8), guesses(seed + 2, labels, 0.5)
    found = compare(one, other, labels, resamples=2)
    assert found["accuracy"].value == pytest.approx(accuracy(one, labels) - accuracy(other, labels))
    assert found["macro_f1"].value == pytest.approx(macro_f1(one, labels) - macro_f1(other, labels))


def test_the_interval_is_the_same_in_each_run(labels: Labels) -> None:
    good, bad = guesses(1, labels, 0.8), guesses(2, labels, 0.7)
    assert compare(good, bad, labels) == compare(good, bad, labels)


def test_the_interval_of_an_accuracy_is_about_what_the_normal_distribution_gives(labels: Labels) -> None:
    good, bad = guesses(1, labels, 0.8), guesses(2, labels, 0.7)
    gains = (good.argmax(axis=1) == labels).astype(float) - (bad.argmax(axis=1) == labels)
    half = 1.96 * gains.std() / np.sqrt(len(gains))
    found = compare(good, bad, labels)["accuracy"]
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
