import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from model.classifier import softmax
from model.evaluation.comparison import RESAMPLES, Difference, Metric, compare, corrected, holm, tally
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
    found = compare(one, one, labels).values()
    assert {(d.value, d.low, d.high, d.raw_p, d.p) for d in found} == {(0.0, 0.0, 0.0, 1.0, 1.0)}


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_the_difference_is_that_of_the_metrics(seed: int, rows: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, rows)
    one, other = guesses(seed + 1, labels, 0.8), guesses(seed + 2, labels, 0.5)
    found = compare(one, other, labels, resamples=2)
    assert found["accuracy"].value == pytest.approx(accuracy(one, labels) - accuracy(other, labels))
    assert found["macro_f1"].value == pytest.approx(macro_f1(one, labels) - macro_f1(other, labels))


def test_the_answers_of_one_text_say_nothing() -> None:
    right, wrong = np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])
    found = compare(right, wrong, np.array([0]))["accuracy"]
    assert (found.value, found.low, found.high, found.p, found.verdict) == (1.0, -1.0, 1.0, 1.0, "no real difference")


def test_the_interval_is_the_same_in_each_run(labels: Labels) -> None:
    good, bad = guesses(1, labels, 0.8), guesses(2, labels, 0.7)
    assert compare(good, bad, labels) == compare(good, bad, labels)


def test_the_interval_of_an_accuracy_is_about_what_the_normal_distribution_gives(labels: Labels) -> None:
    good, bad = guesses(1, labels, 0.8), guesses(2, labels, 0.7)
    gains = (good.argmax(axis=1) == labels).astype(float) - (bad.argmax(axis=1) == labels)
    half = 1.96 * gains.std() / np.sqrt(len(gains))
    found = compare(good, bad, labels)["accuracy"]
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_the_p_value_of_an_accuracy_is_about_what_the_normal_distribution_gives(labels: Labels) -> None:
    good, bad = guesses(1, labels, 0.74), guesses(2, labels, 0.7)
    gains = (good.argmax(axis=1) == labels).astype(float) - (bad.argmax(axis=1) == labels)
    wanted = 2 * norm.sf(abs(gains.mean()) / (gains.std() / np.sqrt(len(gains))))
    assert 0.01 < wanted < 0.5, "an example that is neither clear nor nothing"
    assert compare(good, bad, labels)["accuracy"].raw_p == pytest.approx(wanted, rel=0.1)


def test_it_is_as_far_to_the_other_side_from_the_other_side(labels: Labels) -> None:
    """Four texts that one alone has right: that is little, though the other is better in no resample at all."""
    called = labels.copy()
    called[:4] = (called[:4] + 1) % 3
    for one, other in ((labels, called), (called, labels)):
        assert compare(np.eye(3)[one], np.eye(3)[other], labels)["accuracy"].raw_p > 0.05


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 50))
def test_no_p_value_is_nothing_and_none_is_more_than_one(seed: int, rows: int, resamples: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, rows)
    for right in (0.5, 0.0):
        found = compare(guesses(seed, labels, 1.0), guesses(seed + 1, labels, right), labels, resamples=resamples)
        for difference in found.values():
            assert 1 / (1 + resamples) <= difference.raw_p <= difference.p <= 1


p_values = st.lists(st.floats(1e-6, 1), min_size=1, max_size=30)


@given(p_values)
def test_a_corrected_p_is_no_less_than_the_raw_one_and_in_the_same_order(raw: list[float]) -> None:
    found = holm(np.array(raw))
    assert (found >= raw).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(raw, kind="stable")]) >= 0).all()
    assert len({(one, other) for one, other in zip(raw, found.tolist(), strict=True)}) == len(set(raw)), "equal alike"


@given(p_values)
def test_holm_finds_what_its_steps_find(raw: list[float]) -> None:
    """The smallest below a 20th of as many as there are is real, and so on, up to the first that is not."""
    below = holm(np.array(raw)) < 0.05
    wanted, left = [False] * len(raw), len(raw)
    for index in sorted(range(len(raw)), key=raw.__getitem__):
        if left * raw[index] >= 0.05:
            break
        wanted[index] = True
        left -= 1
    assert below.tolist() == wanted


def test_holm_of_an_example() -> None:
    assert holm(np.array([0.04, 0.01, 0.03, 0.005])).tolist() == pytest.approx([0.06, 0.03, 0.06, 0.02])


def line(value: float, raw_p: float) -> Difference:
    return Difference(value, value - 0.01, value + 0.01, raw_p, raw_p)


def test_a_verdict_is_by_the_p_value_for_all_lines() -> None:
    """0.01 is real beside three others, and beside nine no more: the interval, which leaves 0 out, is of one line."""
    some: dict[str, dict[Metric, Difference]] = {
        "a": {"accuracy": line(0.02, 0.01), "macro_f1": line(-0.02, 0.001)},
        "b": {"accuracy": line(0.02, 0.5), "macro_f1": line(0.02, 0.9)},
    }
    few = corrected(some)
    assert [d.p for by_metric in few.values() for d in by_metric.values()] == pytest.approx([0.03, 0.004, 1, 1])
    assert tally(few) == (4, 1, 1)
    many = corrected(some | dict.fromkeys("cde", some["b"]))
    assert many["a"]["accuracy"].p == pytest.approx(0.09)
    assert tally(many) == (10, 0, 1)
    assert str(tally(many)).startswith("over all sets 0 of 10 better, 1 worse, 9 no real difference")
    assert str(many["a"]["accuracy"]) == "+2.0 points (+1.0 to +3.0), p = 0.090: no real difference"
    assert str(line(-0.02, 0.0001)) == "-2.0 points (-3.0 to -1.0), p < 0.001: worse"


def table(rng: np.random.Generator, resamples: int, lead: float = 0.0) -> dict[str, dict[Metric, Difference]]:
    """Two models that are right in 7 of 10 texts of ten sets, half of them the same; one leads on the first set."""
    found = {}
    for number, texts in enumerate((800, 150, 400, 200, 300) * 2):
        labels = rng.integers(0, 3, texts)
        shared, same = guesses(int(rng.integers(2**32)), labels, 0.7), rng.random((texts, 1)) < 0.5
        ahead = 0.7 + (lead if number == 0 else 0)
        one, other = (guesses(int(rng.integers(2**32)), labels, right) for right in (ahead, 0.7))
        first, second = np.where(same, shared, one), np.where(same, shared, other)
        found[str(number)] = compare(first, second, labels, seed=number, resamples=resamples)
    return found


def test_one_true_difference_is_found_among_twenty_lines() -> None:
    found = corrected(table(np.random.default_rng(0), RESAMPLES, lead=0.25))
    assert {difference.verdict for difference in found["0"].values()} == {"better"}
    assert tally(found) == (20, 2, 0)


def test_equal_models_seldom_differ_anywhere() -> None:
    """Each line for itself would call them different somewhere in every third table or more."""
    rng = np.random.default_rng(1)
    tables = [table(rng, resamples=1000) for _ in range(40)]
    raw = [min(d.raw_p for by_metric in found.values() for d in by_metric.values()) for found in tables]
    assert sum(p < 0.05 for p in raw) / len(tables) > 0.3
    assert sum(sum(tally(corrected(found))[1:]) > 0 for found in tables) / len(tables) <= 0.1
