"""Copies of a story are found; different stories are never taken for copies."""

import csv
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import duplicates
from ingest.dates import parse_date
from ingest.duplicates import BAND_STORIES, BANDS, FEWEST_WORDS, SHORT_WORDS, StoryIndex, signature, similarity
from ingest.entries import collapse
from tests.shared import shared

HOUR = 3600.0
THRESHOLD = 0.8

LEAD = (
    "Regulators closed Aldmere Savings Bank on Friday after depositors withdrew a quarter of its funds within two days,"
    " the largest failure of a lender since the last crisis. The central bank said that other banks were sound and that"
    " it stood ready to lend, while shares of smaller lenders fell sharply in early trading."
)


LONG = f"{LEAD} Depositors of other lenders of that town asked Brixholt, Carrow and Dunmere for their money too."
"""More than is compared, with names where a dateline pushes them out of it."""

NEARLY = " ".join(["raises", "Aldmere", "Savings", *(f"word{chr(97 + number)}" for number in range(SHORT_WORDS - 3))])


def alike(one: str, other: str) -> float:
    """Similarity of two texts, as the index sees it."""
    return similarity(signature("", one).lead, signature("", other).lead)


def index() -> StoryIndex:
    return StoryIndex(threshold=THRESHOLD, seconds=72 * HOUR)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("UK economy shrinks by record 20% in April", "UK economy shrinks by record 20% in April"),
        ("UK economy shrinks by record 20% in April", "UK Economy Shrinks by Record 20% in April"),
        ("UK economy shrinks by record 20% in April", "UK economy shrinks by record 20% in April!"),
        ("UK economy shrinks by a record 20% in April", "UPDATE: UK economy shrinks by a record 20% in April"),
        ("UK economy shrinks by a record 20% in April", "UK economy shrinks by a record 20% in April | Wire"),
        (LEAD, f"LONDON (Newswire) - {LEAD}"),
        (LEAD, LEAD.replace("sharply in early trading", "in early dealings")),
        (LEAD, LEAD + " More follows as we get it, said the editors of this page in a note to readers."),
        ("英国央行宣布紧急降息以应对疫情冲击", "英国央行宣布紧急降息以应对疫情冲击！"),
        (LONG, f"LONDON (Newswire) - {LONG}"),
    ],
)
def test_copies_are_alike(one: str, other: str) -> None:
    assert alike(one, other) >= THRESHOLD


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Apple shares fall 5% after weak results", "Amazon shares fall 5% after weak results"),
        ("Apple shares fall 5% after weak results", "Apple shares fall 6% after weak results"),
        ("Apple shares fall 5% after weak results", "Apple shares rise 5% after weak results"),
        ("apple shares fall after weak results today", "amazon shares fall after weak results today"),
        ("FTSE 100 closes down at 6,012 points on virus fears", "FTSE 100 closes down at 5,998 points on virus fears"),
        ("Bank of England raises rates to fight inflation", "Bank of England cuts rates to fight inflation"),
        ("Tesco to close shops in the north of England", "Tesco to close 43 shops in the north of England"),
        ("Tesco to close shops in the north of England", "Tesco to close shops in the north of England in 2021"),
        ("Tesco to close shops in the north of England", "In 2021 Tesco to close shops in the north of England"),
        (LEAD, LEAD.replace("Aldmere", "Brixholt")),
        (f"Newswire: {LEAD.lower()}", f"Newswire: {LEAD.lower()}".replace("aldmere", "brixholt")),
        (NEARLY, NEARLY.replace("raises", "cuts") + " with three more"),
        (LEAD.replace("a quarter", "25%"), LEAD.replace("a quarter", "30%")),
        ("英国央行宣布紧急降息以应对疫情冲击", "美国央行宣布紧急降息以应对疫情冲击"),
    ],
)  # fmt: skip
def test_other_stories_are_not_alike(one: str, other: str) -> None:
    assert alike(one, other) < THRESHOLD


def test_the_story_is_the_first_document_of_its_cluster() -> None:
    stories = index()
    marks = signature("", LEAD)
    assert stories.find(marks, 0.0) == ""
    stories.add(marks, 0.0, "head")
    assert stories.find(signature("", f"LONDON (Newswire) - {LEAD}"), HOUR) == "head"


def test_a_headline_that_is_repeated_months_later_is_a_story_of_its_own() -> None:
    stories = index()
    marks = signature("", "Flybmi passengers: what rights do they have?")
    stories.add(marks, 0.0, "head")
    assert stories.find(marks, 72 * HOUR) == "head"
    assert stories.find(marks, -72 * HOUR) == "head"
    assert stories.find(marks, 73 * HOUR) == ""
    assert stories.find(marks, -73 * HOUR) == ""


@pytest.mark.parametrize("text", ["Morning briefing", "Buy the dip", "Business live: the day ahead"[:13], ""])
def test_a_short_text_recurs_and_is_no_copy(text: str) -> None:
    stories = index()
    stories.add(signature("", text), 0.0, "head")
    assert stories.find(signature("", text), 0.0) == ""


def test_a_text_of_just_enough_words_is_known_again_in_other_capitals() -> None:
    stories = index()
    text = "Central bank cuts rates again"
    assert len(text.split()) == FEWEST_WORDS
    stories.add(signature("", text), 0.0, "head")
    assert stories.find(signature("", text.title()), 0.0) == "head"


def test_the_strictest_threshold_still_takes_equal_texts_for_one_story() -> None:
    stories = StoryIndex(threshold=1.0, seconds=72 * HOUR)
    stories.add(signature("", LEAD), 0.0, "head")
    assert stories.find(signature("", LEAD), 0.0) == "head"
    assert stories.find(signature("", LEAD.replace("trading", "dealings")), 0.0) == ""


def test_the_most_similar_story_wins_and_then_the_first() -> None:
    stories = index()
    stories.add(signature("", f"{LEAD.removesuffix('.')} again"), 0.0, "near")
    for name in ("first", "second"):
        stories.add(signature("", LEAD), 0.0, name)
    assert stories.find(signature("", LEAD), 0.0) == "first"


def test_a_removed_story_is_forgotten_and_leaves_nothing_behind() -> None:
    stories = index()
    number = stories.add(signature("", LEAD), 0.0, "head")
    other = stories.add(signature("", LEAD), 0.0, "other")
    stories.remove(number)
    assert stories.find(signature("", LEAD), 0.0) == "other"
    assert len(stories) == 1
    stories.remove(other)
    assert not stories._bands, "what is left of each would be kept for ever"


def test_a_title_that_begins_the_text_counts_once() -> None:
    assert signature("Bank fails", "Bank fails in the night") == signature("", "Bank fails in the night")


words = st.lists(
    st.sampled_from(["Bank", "run", "falls", "5", "10", "UK", "the", "of", "央", "Tesco"]), max_size=70
).map(" ".join)


@given(words, words)
def test_similarity_is_symmetric_and_between_0_and_1(one: str, other: str) -> None:
    assert alike(one, other) == alike(other, one)
    assert 0.0 <= alike(one, other) <= 1.0


@given(words)
def test_a_text_is_like_itself(text: str) -> None:
    if len(text.split()) > 1:
        assert alike(text, text) == 1.0


@given(st.lists(words, min_size=1, max_size=30))
def test_equal_texts_meet_in_the_index(texts: list[str]) -> None:
    stories = index()
    for number, text in enumerate(texts):
        stories.add(signature("", text), 0.0, str(number))
    for text in texts:
        marks = signature("", text)
        if marks.bands and len(marks.lead.split()) > 1:
            found = stories.find(marks, 0.0)
            assert alike(texts[int(found)], text) == 1.0


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_a_signature(title: str, text: str) -> None:
    assert signature(title, text) == signature(title, text)


@pytest.fixture(scope="module")
def archive() -> list[tuple[float, str]]:
    """17,760 real headlines with their event times, in order."""
    rows = []
    with shared("data/replay/guardian.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                rows.append((parse_date(row["Time"]).timestamp(), collapse(row["Headlines"])))
            except ValueError:
                continue
    return sorted(rows)


def test_real_headlines_are_merged_with_their_copies_alone(archive: list[tuple[float, str]]) -> None:
    stories = index()
    heads: dict[str, str] = {}
    merged = []
    for number, (event, text) in enumerate(archive):
        marks = signature("", text)
        story = stories.find(marks, event)
        if story:
            merged.append((heads[story], text))
        else:
            heads[str(number)] = text
            stories.add(marks, event, str(number))
    assert [pair for pair in merged if pair[0] != pair[1]] == []
    assert len(merged) == 5

    # The same headlines with a site's name behind them find themselves among all the others.
    long_enough = [(event, text) for event, text in archive[::50] if len(text.split()) >= 6]
    found = sum(bool(stories.find(signature("", f"{text} | Newswire"), event)) for event, text in long_enough)
    assert found / len(long_enough) > 0.97


def test_thousands_of_documents_take_a_moment() -> None:
    begun = time.process_time()
    stories = index()
    vocabulary = [f"Word{number}" for number in range(5000)]
    for number in range(5_000):
        text = " ".join(vocabulary[(number * 7919 + place * 104729 + place * number) % 5000] for place in range(12))
        marks = signature("", text)
        if not stories.find(marks, number * 60.0):
            stories.add(marks, number * 60.0, str(number))
    assert time.process_time() - begun < 5.0  # 0.4 s on the machine it was written on


def test_headlines_of_one_pattern_are_compared_with_the_newest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counting(first: str, second: str) -> float:
        nonlocal compared
        compared += 1
        return similarity(first, second)

    monkeypatch.setattr(duplicates, "similarity", counting)
    stories = index()
    most = 0
    for number in range(BANDS * BAND_STORIES + 100):
        compared = 0
        marks = signature("", f"Company{number} {LEAD}")
        assert stories.find(marks, 0.0) == ""
        stories.add(marks, 0.0, str(number))
        most = max(most, compared)
    assert BAND_STORIES <= most <= BANDS * BAND_STORIES
    assert stories.find(signature("", f"Company{number} {LEAD} More follows."), 0.0) == str(number)

    for number in range(len(stories)):  # those that a full band has pushed out, too
        stories.remove(number)
    assert len(stories) == 0
