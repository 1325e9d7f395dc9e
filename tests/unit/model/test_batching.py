from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.batching import cut_batches, is_full, pad, round_up

lengths_lists = st.lists(st.integers(min_value=1, max_value=120), max_size=200)
budgets = st.integers(min_value=1, max_value=2_000)


@given(lengths_lists, budgets)
def test_every_index_comes_exactly_once(lengths: list[int], budget: int) -> None:
    indices = [index for batch in cut_batches(lengths, budget) for index in batch]
    assert sorted(indices) == list(range(len(lengths)))


@given(lengths_lists, budgets)
def test_a_batch_is_above_the_budget_only_as_a_single_row(lengths: list[int], budget: int) -> None:
    for batch in cut_batches(lengths, budget):
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= budget or len(batch) == 1


@given(lengths_lists, budgets)
def test_lengths_never_decrease_and_texts_of_one_length_keep_their_order(lengths: list[int], budget: int) -> None:
    in_order = [(lengths[index], index) for batch in cut_batches(lengths, budget) for index in batch]
    assert in_order == sorted((length, index) for index, length in enumerate(lengths))


@given(lengths_lists, budgets)
@example([4, 4, 4], 8).via("as many tokens as the budget has")
def test_a_batch_ends_only_where_the_next_text_would_not_fit(lengths: list[int], budget: int) -> None:
    batches = list(cut_batches(lengths, budget))
    for batch, following in pairwise(batches):
        assert (len(batch) + 1) * lengths[following[0]] > budget


@given(st.lists(st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=20), min_size=1, max_size=20))
def test_padding_keeps_every_token_and_masks_the_rest(rows: list[list[int]]) -> None:
    ids, mask = pad(rows)
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert [line[hidden == 1].tolist() for line, hidden in zip(ids, mask, strict=True)] == rows
    assert not ids[mask == 0].any()


def test_nothing_makes_no_batch() -> None:
    assert list(cut_batches([], 100)) == []


@given(lengths_lists, budgets)
def test_with_equal_lengths_all_but_the_last_of_a_length_are_full(lengths: list[int], budget: int) -> None:
    batches = [[lengths[index] for index in batch] for batch in cut_batches(lengths, budget, equal=True)]
    assert all(len(set(batch)) == 1 for batch in batches)
    for batch, following in pairwise(batches):
        assert is_full(batch, budget) or following[0] > batch[0]


@given(st.integers(1, 120), st.integers(1, 40), budgets)
@example(4, 1, 8).via("as many tokens as the budget has")
def test_a_batch_is_full_where_one_more_text_would_be_cut_off(length: int, texts: int, budget: int) -> None:
    assert is_full([length] * texts, budget) == (len(next(cut_batches([length] * (texts + 1), budget))) <= texts)


@pytest.mark.parametrize(("length", "expected"), [(1, 16), (16, 16), (17, 24), (24, 24), (25, 25)])
def test_a_length_is_rounded_up_to_the_next_or_stays(length: int, expected: int) -> None:
    assert round_up(length, (16, 24)) == expected
    assert round_up(length, ()) == length


def test_rows_may_be_padded_beyond_the_longest() -> None:
    ids, mask = pad([[5, 6], [7, 8]], 4)
    assert ids.tolist() == [[5, 6, 0, 0], [7, 8, 0, 0]]
    assert np.array_equal(mask, ids > 0)
