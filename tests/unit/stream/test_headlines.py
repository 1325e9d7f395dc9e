from itertools import chain

from hypothesis import example, given
from hypothesis import strategies as st

from stream.headlines import most_negative
from stream.records import Evidence
from tests.unit.stream.headlines import item


@given(
    st.lists(st.lists(st.builds(item, st.sampled_from("abcde"), st.sampled_from([0.5, 0.7, 0.9])), max_size=6)),
    st.integers(0, 4),
)
@example([[item("a", 0.5)], [item("b", 0.5)]], 1)
def test_evidence_of_parts_is_that_of_the_whole(parts: list[list[Evidence]], limit: int) -> None:
    chosen = [most_negative(part, limit) for part in parts]
    assert most_negative(chain(*reversed(chosen)), limit) == most_negative(chain(*parts), limit)
