import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, roc_auc_score

from model.classifier import softmax
from model.evaluation import metrics
from model.evaluation.calibrate import temperature
from model.evaluation.metrics import (
    accuracy,
    among,
    auroc,
    calibration_error,
    class_scores,
    macro_f1,
    mean_gap,
    negative_log_likelihood,
    reliability,
)

seeds = st.integers(min_value=0, max_value=2**32 - 1)


@given(seeds, st.integers(min_value=1, max_value=60))
def test_agrees_with_scikit_learn(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(size=(rows, 3)).astype(np.float32))
    labels = rng.integers(0, 3, rows)
    called = probabilities.argmax(axis=1)
    assert accuracy(probabilities, labels) == pytest.approx(accuracy_score(labels, called))
    assert macro_f1(probabilities, labels) == pytest.approx(f1_score(labels, called, average="macro", zero_division=0))
    wanted = log_loss(labels, probabilities, labels=[0, 1, 2])
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(wanted)
    found = metrics.confusion_matrix(probabilities, labels)
    assert found.tolist() == confusion_matrix(labels, called, labels=[0, 1, 2]).tolist()


@given(seeds, st.integers(min_value=6, max_value=60), st.integers(min_value=0, max_value=2))
def test_the_area_under_the_curve_agrees_with_scikit_learn(seed: int, rows: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = softmax(np.round(rng.normal(size=(rows, 3)), digits).astype(np.float32))  # rounded: ties occur
    labels = np.append([0, 1, 2], rng.integers(0, 3, rows - 3))
    wanted = np.mean([roc_auc_score(labels == index, probabilities[:, index]) for index in range(3)])
    assert auroc(probabilities, labels) == pytest.approx(wanted)


def test_one_class_alone_has_no_area_under_a_curve() -> None:
    assert np.isnan(auroc(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])))


def test_among_some_classes_the_others_cannot_be_called() -> None:
    found = among(np.array([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1]]), np.array([[True, False, True], [True, True, True]]))
    assert found[0].tolist() == pytest.approx([2 / 3, 0.0, 1 / 3])
    assert found[1].tolist() == pytest.approx([0.3, 0.6, 0.1])


def test_a_class_that_is_never_called_scores_zero() -> None:
    scores = class_scores(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    assert (scores[0].precision, scores[0].recall, scores[0].support) == (0.5, 1.0, 1)
    assert (scores[1].precision, scores[1].recall, scores[1].f1) == (0.0, 0.0, 0.0)


def test_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    probabilities = np.tile([0.9, 0.1], (10, 1))
    half_right = np.array([0, 1] * 5)
    assert calibration_error(probabilities, half_right) == pytest.approx(0.4)


@given(seeds, st.integers(min_value=1, max_value=60))
def test_calibration_error_weighs_the_gap_of_each_of_15_bins_by_its_rows(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = np.append(rng.uniform(0.5, 1, rows), 1.0)
    right = rng.random(rows + 1) < 0.7
    gaps = 0.0
    for low in range(15):
        within = (confidence >= low / 15) & ((confidence < (low + 1) / 15) | (low == 14))
        gaps += abs(confidence[within].sum() - right[within].sum())
    found = calibration_error(np.stack([confidence, 1 - confidence], axis=1), np.where(right, 0, 1))
    assert found == pytest.approx(gaps / (rows + 1))


@given(seeds, st.integers(min_value=1, max_value=60))
def test_each_row_is_in_the_bin_of_its_confidence(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(size=(rows, 3)).astype(np.float32) * 3)
    labels = rng.integers(0, 3, rows)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = reliability(probabilities, labels)
    assert [(one.low, one.high) for one in bins] == [(index / 15, (index + 1) / 15) for index in range(15)]
    assert sum(one.texts for one in bins) == rows
    for one in bins:
        within = (confidence >= one.low) & ((confidence < one.high) | (one.high == 1))
        assert one.texts == within.sum()
        assert one.confidence == pytest.approx(confidence[within].mean() if one.texts else 0)
        assert one.accuracy == pytest.approx(right[within].mean() if one.texts else 0)
    assert calibration_error(probabilities, labels) == mean_gap(bins)


@given(seeds, st.floats(min_value=0.5, max_value=4.0))
def test_the_temperature_that_spoilt_the_logits_is_found(seed: int, spoilt: float) -> None:
    rng = np.random.default_rng(seed)
    true = rng.normal(scale=2.0, size=(4000, 3)).astype(np.float32)
    labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)  # a draw from softmax(true)
    assert temperature(true * np.float32(spoilt), labels) == pytest.approx(spoilt, rel=0.15)


def test_without_labels_the_temperature_is_one() -> None:
    assert temperature(np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=np.int64)) == 1.0
