"""The population stability index and the profiles that it compares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.drift import FEATURES, HALF_AT, Profile, stability_index
from model.labels import TOPICS

histograms = st.lists(st.integers(0, 1000), min_size=5, max_size=5).filter(lambda counts: sum(counts) > 0)


@given(histograms, st.integers(2, 50))
def test_histograms_with_the_same_shares_are_no_distance_apart(counts: list[int], times: int) -> None:
    one = np.array(counts, dtype=float)
    assert stability_index(one, one * times) == pytest.approx(0, abs=1e-9)


@given(histograms, histograms)
def test_it_is_symmetric_and_never_negative(one: list[int], other: list[int]) -> None:
    a, b = np.array(one, dtype=float), np.array(other, dtype=float)
    assert stability_index(a, b) >= 0
    assert stability_index(a, b) == pytest.approx(stability_index(b, a))


def test_it_is_the_formula() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    wanted = ((p - q) * np.log(p / q)).sum()
    assert stability_index(p * 1e7, q * 1e7) == pytest.approx(wanted, rel=1e-4)
    # Half a text more in each of two bins: 3/4 and 1/4 against the same turned round.
    assert stability_index(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(3))


def test_nothing_seen_is_no_distance() -> None:
    assert set(Profile().distances(profile(100, topic=3).reference()).values()) == {0.0}


def profile(texts: int, *, topic: int, length: int = 20, unknown: int = 0) -> Profile:
    made = Profile()
    for _ in range(0, texts, 100):
        made.add([topic] * 100, [1] * 100, [0.97] * 100, [length] * 100, [unknown] * 100)
    return made


def test_a_stream_of_another_language_is_far_away_in_its_unknown_tokens_alone() -> None:
    usual, now = profile(2000, topic=3), profile(2000, topic=3, unknown=15)
    far = {name for name, distance in now.distances(usual.reference()).items() if distance > 0.25}
    assert far == {"unknown"}


def test_a_profile_follows_what_came_last() -> None:
    made = profile(HALF_AT, topic=3)
    for _ in range(0, 4 * HALF_AT, 100):
        made.add([4] * 100, [1] * 100, [0.97] * 100, [20] * 100, [0] * 100)
    counts = made.reference().counts["topics"]
    assert counts[4] / sum(counts) > 0.9
    assert sum(counts) == made.reference().texts <= HALF_AT + 100


def test_every_text_is_in_one_bin_of_each_feature() -> None:
    made = Profile()
    made.add([0, len(TOPICS) - 1], [0, 2], [0.05, 1.0], [1, 96], [1, 0])
    counts = made.reference().counts
    assert {name: len(bins) for name, bins in counts.items()} == FEATURES
    assert {sum(bins) for bins in counts.values()} == {2}


def test_a_bin_begins_at_its_edge_and_no_unknown_token_is_one_of_its_own() -> None:
    made = Profile()
    made.add([0] * 4, [0] * 4, [0.29, 0.3, 0.949, 0.95], [5, 6, 94, 95], [0] * 4)
    counts = made.reference().counts
    assert counts["confidence"] == counts["lengths"] == [1, 1, 0, 0, 0, 0, 0, 1, 1]
    made = Profile()
    made.add([0] * 5, [0] * 5, [0.5] * 5, [20, 20, 20, 20, 0], [0, 1, 2, 20, 0])
    assert made.reference().counts["unknown"] == [2, 1, 1, 0, 1], "a text without tokens has none that is unknown"


def test_a_reference_with_other_bins_is_passed_over() -> None:
    reference = profile(100, topic=3).reference()
    reference.counts["lengths"] = [1, 2]
    assert "lengths" not in profile(100, topic=3).distances(reference)
