"""What an entry may bring, and how much of it is kept; what every source does with it is in `test_sources.py`."""

import pytest

from ingest.entries import MAX_TITLE, MAX_URL, Entry, EntryRules
from ingest.errors import RowError
from ingest.settings import IngestSettings
from stream.records import Document
from tests.unit.ingest.documents import NOW


def made(entry: Entry) -> Document:
    return EntryRules.of(IngestSettings(), "wire", "news", lambda: NOW, undated_is_new=True).document(entry)


def test_a_long_title_is_cut_and_its_text_is_not() -> None:
    title = "Bank fails. " * 50_000
    assert made(Entry(title=title, text="Depositors queue.")).title == title[:MAX_TITLE]
    alone = made(Entry(title=title))
    assert (len(alone.title), alone.text) == (MAX_TITLE, title.strip())


@pytest.mark.parametrize(("length", "kept"), [(MAX_URL, True), (MAX_URL + 1, False), (700_000, False)])
def test_a_url_that_is_too_long_is_none(length: int, kept: bool) -> None:
    url = "https://wire.example/".ljust(length, "x")
    assert made(Entry(text="Bank fails", url=url)).url == (url if kept else "")


def test_a_post_whose_text_is_a_link_alone_has_its_title() -> None:
    assert made(Entry(title="Bank fails", text="https://wire.example/1")).title == "Bank fails"


@pytest.mark.parametrize(("characters", "fits"), [(3333, True), (3334, False)])
def test_a_text_is_measured_in_bytes(characters: int, fits: bool) -> None:
    rules = EntryRules.of(IngestSettings(max_text_bytes=10_000), "wire", "news", lambda: NOW, undated_is_new=True)
    entry = Entry(text="央" * characters)
    if fits:
        assert rules.document(entry).text == entry.text
    else:
        with pytest.raises(RowError, match="the text has 10,002 bytes"):
            rules.document(entry)
