"""How far a shadow differs: how often a log is told, and what stands in the result."""

import pytest

from deploy.disagreement import Pace, as_object, in_brief, in_words
from stream.records import Disagreement, Flip

FOUND = Disagreement(
    documents=1000,
    topics=30,
    sentiments=50,
    negative=25.0,
    failed=2,
    skipped=3,
    sentiment_matrix={"negative": {"negative": 600, "positive": 40}, "neutral": {"neutral": 350, "negative": 10}},
    topics_from={"Macro": 29, "Energy | Oil": 1},
    topics_to={"Energy | Oil": 20, "IPO": 10},
    flips=(Flip(title="Shares \x1b[2J fall", live="negative", shadow="positive", distance=0.9),),
)


def compared(documents: int, topics: int = 0, sentiments: int = 0) -> Disagreement:
    return Disagreement(documents=documents, topics=topics, sentiments=sentiments)


def test_a_line_says_how_far_it_is() -> None:
    assert in_brief(FOUND) == "1,000 compared, 3.0% another topic, 5.0% another sentiment"
    assert in_brief(compared(0)) == "nothing compared yet"


def test_a_log_is_told_the_first_numbers_at_once_and_then_every_thirty_seconds() -> None:
    pace = Pace(100.0)
    looks = [(100.0, 0), (101.0, 10), (101.2, 20), (125.0, 500), (131.0, 600), (160.9, 900), (161.0, 900)]
    assert [at for at, documents in looks if pace.is_due(compared(documents), at)] == [101.0, 131.0, 161.0]


def test_a_log_is_told_too_that_nothing_comes() -> None:
    pace = Pace(0.0)
    assert [at for at in range(0, 100, 10) if pace.is_due(compared(0), at)] == [30, 60, 90]


@pytest.mark.parametrize(
    ("before", "after", "seconds", "due"),
    [
        (compared(1000), compared(2000, topics=100), 6, True),
        (compared(1000, sentiments=100), compared(2000, sentiments=99), 6, True),
        (compared(1000), compared(2000, topics=99, sentiments=99), 6, False),
        (compared(1000), compared(2000, topics=1000), 4, False),
        (compared(99), compared(2000, topics=1000), 6, False),
    ],
)
def test_a_log_is_told_sooner_where_much_has_changed(
    before: Disagreement, after: Disagreement, seconds: float, due: bool
) -> None:
    pace = Pace(0.0)
    assert pace.is_due(before, 1.0)
    assert pace.is_due(after, 1.0 + seconds) == due


def test_the_result_says_which_sentiments_and_topics_and_gives_examples() -> None:
    assert "\n".join(in_words(FOUND)).splitlines() == [
        "1,000 documents compared: 3.00% get another topic, 5.00% another sentiment;"
        " the negative probability differs by 0.0250 on average",
        "2 documents it could not classify, and the live one could",
        "3 more came while it was busy and were not compared",
        "",
        "sentiment, the live one in rows and its own in columns:",
        "                negative     neutral    positive",
        "  negative           600           0          40",
        "  neutral             10         350           0",
        "  positive             0           0           0",
        "",
        "another topic                    no longer         now",
        "  Macro                                 29           0",
        "  Energy | Oil                           1          20",
        "  IPO                                    0          10",
        "",
        "another sentiment, where the two are furthest apart:",
        "  negative -> positive: Shares  [2J fall",
    ]


def test_workers_of_an_earlier_version_say_no_more_than_shares() -> None:
    assert len(list(in_words(compared(10, topics=1)))) == 1
    said = "\n".join(in_words(FOUND + compared(10, topics=1)))
    assert "in columns (1,000 documents: a worker of an earlier version says no more):" in said


def test_a_program_gets_all_of_it() -> None:
    assert as_object(FOUND) == {
        "documents": 1000,
        "topic": 0.03,
        "sentiment": 0.05,
        "negative": 0.025,
        "failed": 2,
        "skipped": 3,
        "sentiments": {
            "negative": {"negative": 600, "neutral": 0, "positive": 40},
            "neutral": {"negative": 10, "neutral": 350, "positive": 0},
            "positive": {"negative": 0, "neutral": 0, "positive": 0},
        },
        "topics": {
            "Energy | Oil": {"from": 1, "to": 20},
            "IPO": {"from": 0, "to": 10},
            "Macro": {"from": 29, "to": 0},
        },
        "flips": [{"title": "Shares \x1b[2J fall", "live": "negative", "shadow": "positive", "distance": 0.9}],
    }
    assert as_object(Disagreement())["documents"] == 0
