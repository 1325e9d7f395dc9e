from functools import reduce
from operator import add

import msgspec
import pytest

from model.labels import TOPICS
from stream.errors import ModelSickError
from stream.live_model import LiveModel
from stream.records import MOST_FLIPS, Disagreement, Flip, ScoredDocument, WorkerReport, encode
from stream.scoring import Scorer
from stream.shadow import FLIP_CHARACTERS, Shadow, compare
from tests.unit.stream.classifiers import NOW, Known, batch, loaded, on_everything


def scored(topic: str, sentiment: str, negative: float, title: str = "") -> ScoredDocument:
    return ScoredDocument(
        origin=0,
        watermark=NOW,
        title=title,
        topic=topic,
        sentiment=sentiment,  # type: ignore[arg-type]
        probabilities=(negative, 1 - negative, 0.0),
    )


DEAD = ScoredDocument(origin=0, watermark=NOW, dead=True)


def test_differences_are_counted_head_by_head() -> None:
    found = compare(
        [
            (scored("Macro", "neutral", 0.25), scored("Macro", "neutral", 0.5)),
            (scored("Macro", "neutral", 0.5), scored("Energy", "neutral", 0.25)),
            (scored("Macro", "neutral", 0.0), scored("Macro", "negative", 1.0)),
            (scored("Macro", "neutral", 0.0), DEAD),
            (DEAD, scored("Macro", "neutral", 0.0)),
            (DEAD, DEAD),
        ]
    )
    assert found == Disagreement(
        documents=3,
        topics=1,
        sentiments=1,
        negative=1.5,
        failed=1,
        sentiment_matrix={"neutral": {"neutral": 2, "negative": 1}},
        topics_from={"Macro": 1},
        topics_to={"Energy": 1},
        flips=(Flip(title="", live="neutral", shadow="negative", distance=1.0),),
    )


def test_sums_of_workers_add_up() -> None:
    one = Disagreement(
        documents=1,
        topics=2,
        sentiments=3,
        negative=0.5,
        failed=5,
        skipped=6,
        sentiment_matrix={"negative": {"negative": 7}},
        topics_from={"Macro": 8},
        topics_to={"Energy": 9},
    )
    other = msgspec.structs.replace(
        one, sentiment_matrix={"negative": {"neutral": 1}, "positive": {"neutral": 2}}, topics_from={"Energy": 3}
    )
    assert one + other == Disagreement(
        documents=2,
        topics=4,
        sentiments=6,
        negative=1.0,
        failed=10,
        skipped=12,
        sentiment_matrix={"negative": {"negative": 7, "neutral": 1}, "positive": {"neutral": 2}},
        topics_from={"Macro": 8, "Energy": 3},
        topics_to={"Energy": 18},
    )
    assert one + Disagreement() == Disagreement() + one == one


def flipped(number: int, title: str = "") -> Disagreement:
    """Of one headline, whose two probabilities are `number` hundredths apart."""
    title = title or f"headline {number}"
    return compare([(scored("Macro", "neutral", 0.0, title), scored("Macro", "negative", number / 100, title))])


def test_the_headlines_that_differ_most_are_kept_and_no_more_than_a_few() -> None:
    found = reduce(add, (flipped(number) for number in (*range(0, 100, 2), *range(1, 100, 2))))
    assert [flip.title for flip in found.flips] == [f"headline {number}" for number in range(99, 99 - MOST_FLIPS, -1)]
    assert found.sentiment_matrix == {"neutral": {"negative": 100}}


def test_a_headline_that_came_from_many_sources_is_one_example() -> None:
    found = reduce(add, (flipped(number, "the same") for number in (1, 3, 2)))
    assert [(flip.title, flip.distance) for flip in found.flips] == [("the same", 0.03)]


def test_an_example_is_short() -> None:
    (flip,) = flipped(1, "x" * 500).flips
    assert flip.title == "x" * FLIP_CHARACTERS


def test_what_an_earlier_version_wrote_is_read_and_adds_up() -> None:
    report = b"""{"worker": "w1", "at": "2026-03-02T09:00:00Z", "model": "a", "shadow": {"promotion": "1",
        "state": "shadowing", "disagreement": {"documents": 10, "topics": 2, "sentiments": 3, "negative": 0.5}}}"""
    shadow = msgspec.json.decode(report, type=WorkerReport).shadow
    assert shadow is not None
    assert shadow.disagreement == Disagreement(documents=10, topics=2, sentiments=3, negative=0.5)
    found = shadow.disagreement + flipped(1)
    assert (found.documents, found.sentiments, found.sentiment_matrix) == (11, 4, {"neutral": {"negative": 1}})
    assert msgspec.json.decode(encode(found), type=Disagreement) == found


def test_a_shadow_compares_what_the_live_one_scored_and_leaves_it_alone() -> None:
    live = LiveModel(loaded(Known(1)))
    scorer = Scorer(topic="", max_text_bytes=1000)
    shadow = Shadow(loaded(Known(2, lambda text: "crash" in text)), max_text_bytes=1000)
    received = batch("a", "", "crash")
    result = live.score(scorer, received, NOW)

    shadow.compare(received, result, NOW)
    shadow.skipped += 4

    assert [item.document.model for item in result.scored] == ["bundle-1", "", "bundle-1"]
    assert shadow.disagreement == Disagreement(
        documents=1,
        topics=1,
        failed=1,
        skipped=4,
        sentiment_matrix={"neutral": {"neutral": 1}},
        topics_from={TOPICS[1]: 1},
        topics_to={TOPICS[2]: 1},
    )


def test_a_comparison_with_another_live_bundle_begins_anew() -> None:
    shadow = Shadow(loaded(Known(2)), max_text_bytes=1000)
    for number, documents in ((1, 3), (3, 1)):
        live = LiveModel(loaded(Known(number)))
        received = batch(*["a"] * documents)
        scorer = Scorer(topic="", max_text_bytes=1000)
        shadow.compare(received, live.score(scorer, received, NOW), NOW)
    assert (shadow.disagreement.documents, shadow.disagreement.topics_from) == (1, {TOPICS[3]: 1})


def test_a_shadow_that_fails_on_everything_says_so() -> None:
    live = LiveModel(loaded(Known(1)))
    received = batch("a")
    result = live.score(Scorer(topic="", max_text_bytes=1000), received, NOW)
    with pytest.raises(ModelSickError, match="bundle-2 cannot"):
        Shadow(loaded(Known(2, on_everything)), max_text_bytes=1000).compare(received, result, NOW)
