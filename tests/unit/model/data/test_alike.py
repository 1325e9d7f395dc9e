"""Which held-out texts training nearly saw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.alike import SIMILARITY, alike
from model.data.splits import Example

WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=9).map(" ".join)


def examples(*texts: str) -> list[Example]:
    return [Example(text, "topic", 0) for text in texts]


@pytest.mark.parametrize(
    ("asked", "seen", "is_alike"),
    [
        pytest.param(
            "Dell cuts its targets on weak demand", "Dell lifts its targets on strong demand", False,
            id="a headline that says the contrary",
        ),
        pytest.param(
            "$TAP - Barclays cools on Molson Coors", "barclays cools on Molson Coors!", True, id="a ticker before it"
        ),
        pytest.param("Barclays cools on Molson Coors - FT", "Barclays cools on Molson Coors", True, id="its paper"),
        pytest.param("Shares of a lender fall", "Shares of a miner jump on gold", False, id="words of every text"),
        pytest.param("央行下调存款准备金率", "央行下调了存款准备金率", True, id="one Chinese character more"),
        pytest.param("央行下调存款准备金率", "股市今天大幅上涨", False, id="another Chinese text"),
        pytest.param("", "", False, id="no words"),
    ],
)  # fmt: skip
def test_texts_that_differ_in_a_word_or_two_are_alike(asked: str, seen: str, is_alike: bool) -> None:
    (one,) = examples(asked)
    assert alike([one], examples("nothing of that", seen)) == ({one.key} if is_alike else set())


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=12))
def test_it_finds_what_comparing_each_with_each_finds(held_out: list[str], train: list[str]) -> None:
    def similar(one: str, other: str) -> bool:
        a, b = set(one.split()), set(other.split())
        return bool(a) and len(a & b) >= SIMILARITY * len(a | b)

    expected = {text for text in held_out if any(similar(text, other) for other in train)}
    assert alike(examples(*held_out), examples(*train)) == expected
