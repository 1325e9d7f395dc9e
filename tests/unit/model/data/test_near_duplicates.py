"""Which held-out texts training nearly saw."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.data.examples import Example
from model.data.near_duplicates import SIMILARITY, near_duplicates

TEXTS = st.lists(st.lists(st.sampled_from("abcdefghijkl"), max_size=14).map(" ".join), max_size=8)


@pytest.mark.parametrize(
    ("held_out", "train", "is_near"),
    [
        ("$TAP - Barclays cools on Molson Coors", "barclays cools on Molson Coors!", True),
        ("Barclays cools on Molson Coors - FT", "Barclays cools on Molson Coors", True),
        ("Barclays cools on Molson Coors", "Molson Coors cools on Barclays", True),
        ("Operating profit rose to 3 % of sales", "Operating profit fell to 3 % of sales", True),
        ("Dell cuts its targets on weak demand", "Dell lifts its targets on strong demand", False),
        ("Shares of a lender fall", "Shares of a miner jump on gold", False),
        ("央行下调存款准备金率", "央行下调了存款准备金率", True),
        ("央行下调存款准备金率", "股市今天大幅上涨", False),
        ("", "", False),
    ],
    ids=["a ticker before it", "its paper behind it", "another order", "one word says the contrary", "three of eight",
         "words of every text", "a Chinese character more", "another Chinese text", "no words"],
)  # fmt: skip
def test_texts_that_differ_in_a_word_or_two_are_near(held_out: str, train: str, is_near: bool) -> None:
    ours, other, theirs = (Example(text, "topic", 0).key for text in (held_out, "nothing of that", train))
    assert near_duplicates([ours], [other, theirs]) == ({ours} if is_near else set())


def test_words_that_are_equally_rare_are_looked_at_in_one_order() -> None:
    """A set of 24 words goes through its own in another order than one of 17 that it has in common with it."""
    train = [" ".join(f"{text}.{word}" for word in range(17)) for text in range(40)]
    held_out = [" ".join([one, *(f"{text}.unseen.{word}" for word in range(7))]) for text, one in enumerate(train)]
    assert near_duplicates(held_out, train) == set(held_out)


@given(TEXTS, TEXTS)
@example(["a b c d e f g"], ["a b c d e f g h i j"]).via("exactly 70 %")
@example(["a b c d e f g h i j"], ["d e f g h i j"]).via("exactly 70 %, without the rarest words")
def test_it_finds_what_comparing_each_with_each_finds(held_out: list[str], train: list[str]) -> None:
    def similar(one: str, other: str) -> bool:
        a, b = set(one.split()), set(other.split())
        return bool(a) and len(a & b) >= SIMILARITY * len(a | b)

    expected = {text for text in held_out if any(similar(text, other) for other in train)}
    assert near_duplicates(held_out, train) == expected
