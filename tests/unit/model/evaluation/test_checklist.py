import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.cli import run
from model.bundle import Bundle
from model.classifier import Classifier, Prediction
from model.data.examples import key_of
from model.data.near_duplicates import near_duplicates
from model.data.recipe import CONFIGS, read_recipe
from model.data.splits import load_splits
from model.evaluation.checklist import Case, Check, run_checks, texts_of
from model.evaluation.checklist_cases import CHECKS, GOOD_AND_BAD
from model.labels import SENTIMENTS, TOPICS

MOODS = {
    "worse": (0.97, 0.02, 0.01),
    "bad": (0.8, 0.1, 0.1),
    "plain": (0.1, 0.8, 0.1),
    "good": (0.1, 0.1, 0.8),
    "better": (0.01, 0.02, 0.97),
}


def classify(texts: Sequence[str]) -> list[Prediction]:
    """The mood of the first word; the topic is that of the length."""
    found = []
    for text in texts:
        probabilities = MOODS[text.split()[0]]
        mood = SENTIMENTS[probabilities.index(max(probabilities))]
        found.append(Prediction(TOPICS[len(text) % 20], 0.5, mood, probabilities))
    return found


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        (Check("", "minimum functionality", (Case("bad day", allowed=("negative",)),)), True),
        (Check("", "minimum functionality", (Case("bad day", allowed=("neutral", "positive")),)), False),
        (Check("", "invariance", (Case("bad day", "worse day"),)), True),
        (Check("", "invariance", (Case("bad day", "good day"),)), False),
        (Check("", "invariance", (Case("bad day", "good day"),), head="topic"), False),
        (Check("", "invariance", (Case("good day", "good sun"),), head="topic"), True),
        (Check("", "direction", (Case("good day", "bad day"),)), True),
        (Check("", "direction", (Case("bad day", "good day"),)), False),
        (Check("", "direction", (Case("plain day", "plain sun"),)), False),
        (Check("", "direction", (Case("plain day", "bad sun"),)), True),
        (Check("", "direction", (Case("good day", "plain sun"),)), True),
        # Better by far, and yet one of the two is called the contrary of what it is.
        (Check("", "direction", (Case("better day", "good day"),)), False),
        (Check("", "direction", (Case("bad day", "worse day"),)), False),
    ],
)
def test_each_kind_asks_its_own_question(check: Check, passes: bool) -> None:
    (result,) = run_checks([check], classify)
    assert result.rate == (1.0 if passes else 0.0)


def test_a_failure_shows_the_texts_and_what_was_said() -> None:
    pair = Check("pairs", "invariance", (Case("bad day", "good day"), Case("bad day", "bad sun")))
    (result,) = run_checks([pair], classify)
    assert result.rate == 0.5
    assert [str(failure) for failure in result.failures] == ["'bad day': negative 0.80; 'good day': positive 0.80"]


def test_every_text_is_asked_once_and_together() -> None:
    asked: list[Sequence[str]] = []

    def count(texts: Sequence[str]) -> list[Prediction]:
        asked.append(texts)
        return classify(texts)

    run_checks([Check("", "direction", (Case("good a", "bad a"), Case("good a", "bad b")))] * 2, count)
    assert asked == [["good a", "bad a", "bad b"]]


def test_there_are_some_hundreds_of_cases_and_none_of_them_twice() -> None:
    assert sum(len(check.cases) for check in CHECKS) > 200
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert len(set(check.cases)) == len(check.cases), check.name
        for case in check.cases:
            assert "{" not in case.text + case.other
            assert bool(case.allowed) == (check.kind == "minimum functionality") == (not case.other)


def test_none_of_them_is_or_nearly_is_a_text_that_trains() -> None:
    recipe = read_recipe(CONFIGS / "final.toml")
    own = recipe.model_copy(update={"sources": tuple(source for source in recipe.sources if source.own)})
    splits = load_splits(own, CONFIGS)
    trains = {example.key for example in [*splits.train, *splits.calibration]}
    ours = {key_of(text) for text in texts_of(CHECKS)}
    assert len(trains) > 1000
    assert near_duplicates(ours, trains) == frozenset()


def test_good_and_bad_news_comes_of_each_topic() -> None:
    assert len(GOOD_AND_BAD) == len(TOPICS)


def test_the_shipped_bundle_understands_the_plainest(shipped: Classifier) -> None:
    """As many cases of each check as its card says; one more or less may hang in the balance on another processor."""
    claimed = shipped.bundle.manifest.checklist
    results = run_checks(CHECKS, shipped.classify)
    assert claimed.keys() == {result.name for result in results}
    for result in results:
        assert claimed[result.name].cases == result.cases, result.name
        passed = result.cases - len(result.failures)
        assert passed == pytest.approx(claimed[result.name].passed, abs=1), result.name
        assert result.rate >= 0.75, [str(failure) for failure in result.failures]


def test_the_command_shows_pass_rates_beside_those_of_the_other(
    tiny_bundle: Bundle, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tiny_data), "--recipe", str(tiny_data / "recipe.toml"), "--against", str(tiny_bundle.folder)]
    assert run(["evaluate", str(tiny_bundle.folder), *data]) == 0
    shown = capsys.readouterr().out
    assert "checks; in brackets the other bundle" in shown
    assert "a plain fact is neutral " in shown
    assert run(["evaluate", str(tiny_bundle.folder), *data, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checks"] == found["against"]["checks"]
    assert {"name", "kind", "cases", "rate", "failures"} == found["checks"][0].keys()
