import pytest

from stream.errors import ModelSickError
from stream.live_model import LiveModel
from stream.records import Disagreement, ScoredDocument
from stream.scoring import Scorer
from stream.shadow import Shadow, compare
from tests.unit.stream.classifiers import NOW, Known, batch, loaded, on_everything


def scored(topic: str, sentiment: str, negative: float) -> ScoredDocument:
    return ScoredDocument(
        origin=0,
        watermark=NOW,
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
    assert found == Disagreement(documents=3, topics=1, sentiments=1, negative=1.5, failed=1)


def test_sums_of_workers_add_up() -> None:
    one = Disagreement(documents=1, topics=2, sentiments=3, negative=0.5, failed=5, skipped=6)
    assert one + one == Disagreement(documents=2, topics=4, sentiments=6, negative=1.0, failed=10, skipped=12)


def test_a_shadow_compares_what_the_live_one_scored_and_leaves_it_alone() -> None:
    live = LiveModel(loaded(Known(1)))
    scorer = Scorer(topic="", max_text_bytes=1000)
    shadow = Shadow(loaded(Known(2, lambda text: "crash" in text)), max_text_bytes=1000)
    received = batch("a", "", "crash")
    result = live.score(scorer, received, NOW)

    shadow.compare(received, result, NOW)
    shadow.skipped += 4

    assert [item.document.model for item in result.scored] == ["bundle-1", "", "bundle-1"]
    assert shadow.disagreement == Disagreement(documents=1, topics=1, failed=1, skipped=4)


def test_a_comparison_with_another_live_bundle_begins_anew() -> None:
    shadow = Shadow(loaded(Known(2)), max_text_bytes=1000)
    for number, documents in ((1, 3), (3, 1)):
        live = LiveModel(loaded(Known(number)))
        received = batch(*["a"] * documents)
        scorer = Scorer(topic="", max_text_bytes=1000)
        shadow.compare(received, live.score(scorer, received, NOW), NOW)
    assert shadow.disagreement == Disagreement(documents=1, topics=1)


def test_a_shadow_that_fails_on_everything_says_so() -> None:
    live = LiveModel(loaded(Known(1)))
    received = batch("a")
    result = live.score(Scorer(topic="", max_text_bytes=1000), received, NOW)
    with pytest.raises(ModelSickError, match="bundle-2 cannot"):
        Shadow(loaded(Known(2, on_everything)), max_text_bytes=1000).compare(received, result, NOW)
