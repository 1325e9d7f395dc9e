"""What the memory knows, and when it forgets."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingest.memory import Memory, Recalled
from ingest.settings import IngestSettings
from stream.records import Document
from tests.unit.ingest.documents import NOW, STORY, document

HOUR = timedelta(hours=1)
COPY = f"{STORY} | Newswire"


def memory(hours: float = 72, documents: int = 1000) -> Memory:
    return Memory(IngestSettings(memory_hours=hours, memory_documents=documents))


def recalled(document: Document, story: str = "", at: datetime = NOW) -> Recalled:
    return Recalled(document.id, story or document.id, document.title, document.text, document.published_at, at)


def test_a_new_document_is_the_head_of_its_story() -> None:
    known, first = memory(), document()
    assert not known.knows(first.id)
    assert known.admit(first, NOW) == first.id
    assert known.knows(first.id)


def test_a_known_document_is_not_admitted_again() -> None:
    known, first = memory(), document()
    known.admit(first, NOW)
    assert known.admit(first, NOW + HOUR) is None


def test_a_copy_gets_the_story_of_the_first() -> None:
    known, first = memory(), document()
    known.admit(first, NOW)
    assert known.admit(document(COPY), NOW) == first.id
    assert known.admit(document(f"UPDATE {STORY}"), NOW) == first.id


def test_a_headline_repeated_months_later_is_its_own_story() -> None:
    known = memory()
    known.admit(document(native_id="1", published_at=NOW - 90 * 24 * HOUR), NOW)
    again = document(native_id="2")
    assert known.admit(again, NOW) == again.id


def test_what_the_topic_gives_back_is_known() -> None:
    known, first = memory(), document()
    assert known.recall(recalled(first))
    assert not known.recall(recalled(first))
    assert known.admit(first, NOW) is None
    assert known.admit(document(COPY), NOW) == first.id


def test_a_recalled_copy_adds_no_story() -> None:
    known, first = memory(), document()
    known.recall(recalled(first))
    known.recall(recalled(document(COPY), story=first.id))
    assert known.admit(document(f"{STORY} | Courier"), NOW) == first.id


def test_a_copy_whose_head_is_older_than_the_memory_stands_for_its_story() -> None:
    known, copy = memory(), document(COPY)
    known.recall(recalled(copy, story="ab" * 16))
    assert known.admit(document(f"{COPY} | Courier"), NOW) == "ab" * 16


def test_the_time_of_the_append_decides_what_is_forgotten() -> None:
    known, old, new = memory(hours=72), document(native_id="1"), document(native_id="2")
    young = document("Another bank of quite another town is shut")
    known.recall(recalled(young, at=NOW - 71 * HOUR))
    known.recall(recalled(old, at=NOW - 73 * HOUR))
    assert known.knows(old.id)
    known.admit(new, NOW)
    assert not known.knows(old.id)
    assert known.knows(young.id)
    assert known.admit(old, NOW) == new.id  # its story went with it: the younger one is the first now


def test_an_archive_of_old_dates_is_known_the_second_time() -> None:
    known = memory(hours=1, documents=50)  # as many as it has
    rows = [
        document(f"Headline number {day} of an old archive", published_at=NOW - day * 24 * HOUR) for day in range(50)
    ]
    assert all(known.admit(row, NOW) for row in rows)
    assert [known.admit(row, NOW) for row in rows] == [None] * 50


def test_no_more_documents_are_kept_than_allowed() -> None:
    known = memory(documents=10)
    for number in range(100):
        known.admit(document(f"Story number {number} of a long day in the markets"), NOW)
        assert len(known) <= 10
    assert known.admit(document("Story number 89 of a long day in the markets"), NOW) is not None
    assert known.admit(document("Story number 99 of a long day in the markets"), NOW) is None


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 200)), max_size=60))
def test_a_restart_knows_what_the_process_before_it_published(calls: list[tuple[int, int]]) -> None:
    """The memory read back from the topic answers as the one that wrote it, while nothing has expired."""
    before, after = memory(), memory()
    for number, hours in calls:
        text = f"Bank number {number // 2} of the long list fails" + " | Newswire" * (number % 2)
        asked = document(text, native_id=f"{number}/{hours // 50}", published_at=NOW - hours * HOUR)
        story = before.admit(asked, NOW)
        if story is not None:
            after.recall(recalled(asked, story))
    for number in range(9):
        text = f"Bank number {number // 2} of the long list fails again"
        asked = document(text, native_id="new", published_at=NOW)
        assert before.admit(asked, NOW) == after.admit(asked, NOW)
