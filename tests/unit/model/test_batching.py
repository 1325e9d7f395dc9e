from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from model.batching import cut_batches, pad

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
def test_lengths_never_decrease(lengths: list[int], budget: int) -> None:
    in_order = [lengths[index] for batch in cut_batches(lengths, budget) for index in batch]
    assert in_order == sorted(lengths)


@given(lengths_lists, budgets)
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
