"""What is measured of a bundle, and how the command shows it."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from matplotlib.image import imread

from deploy.cli import run
from deploy.scorecard import miscalibrated
from model.bundle import Bundle, DataFingerprint, Temperatures, write_manifest
from model.classifier import Classifier
from model.data.examples import Example
from model.data.recipe import Recipe
from model.data.splits import Splits
from model.errors import FinSentryError, InputError
from model.evaluation.evaluate import Answers, against, answer, doubts, evaluate, report, scores_without
from model.evaluation.metrics import mean_gap
from model.labels import SENTIMENTS, TOPICS
from model.runtime import Logits
from model.settings import ModelSettings


def sentiments(*pairs: tuple[int, int], topics: Sequence[int] = ()) -> Answers:
    """Answers of (label, called) pairs."""
    return Answers(
        head="sentiment",
        classes=(0, 1, 2),
        keys=tuple(f"text {index}" for index in range(len(pairs))),
        labels=np.array([label for label, _ in pairs]),
        probabilities=(said := np.eye(3)[[called for _, called in pairs]]),
        served=said,
        topics=np.array(topics or [0] * len(pairs)),
    )


def measured(tiny_data: Path, *arguments: str | Path) -> list[str]:
    return ["evaluate", *map(str, arguments), "--data", str(tiny_data), "--recipe", str(tiny_data / "recipe.toml")]


def test_a_set_of_some_classes_is_measured_among_them(tiny_bundle: Bundle) -> None:
    texts = [("oil tumbles today", 0), ("oil soars today", 2), ("oil holds today", 2), ("oil holds again", 2)]
    bulls = [Example(text, "sentiment", label, classes=(0, 2)) for text, label in texts]
    with Classifier.load(ModelSettings(bundle=tiny_bundle.folder)) as classifier:
        some = evaluate(classifier, {"bulls": bulls})["bulls/sentiment"]
        every = evaluate(classifier, {"bulls": [replace(e, classes=()) for e in bulls]})["bulls/sentiment"]
    assert list(some.classes) == ["negative", "positive"]
    assert sum(map(sum, some.confusion)) == 4
    assert list(every.classes) == ["negative", "neutral", "positive"]
    assert every.scores.accuracy == 0.5
    assert (some.scores.among, some.scores.served) == (("negative", "positive"), 0.5)
    assert (every.scores.among, every.scores.served) == ((), None)


def test_what_is_called_by_topic_is_what_is_served_whatever_the_set_knows() -> None:
    """Two bad texts, of which one is served as neutral: among negative and positive alone it would be negative."""
    bulls = replace(
        sentiments((0, 0), (0, 0), topics=[3, 3]),
        classes=(0, 2),
        served=np.array([[0.9, 0.1, 0.0], [0.4, 0.5, 0.1]]),
    )
    found = report({"bulls/sentiment": bulls})["bulls/sentiment"]
    assert found.confusion == [[2, 0], [0, 0]]
    assert found.by_topic is not None
    assert found.by_topic.classes == SENTIMENTS
    assert found.by_topic.confusions == {TOPICS[3]: [[1, 1, 0], [0, 0, 0], [0, 0, 0]]}


class Broken:
    """Gives no numbers for its second text."""

    temperatures = Temperatures()

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        topics, moods = np.zeros((len(texts), 20), np.float32), np.zeros((len(texts), 3), np.float32)
        moods[1] = np.nan
        return topics, moods


def test_a_model_that_gives_no_numbers_is_not_measured() -> None:
    """All labels are the first class, which is what the most probable of no numbers would be."""
    rows = [Example(f"text {number}", "sentiment", 0) for number in range(3)]
    with pytest.raises(FinSentryError, match="no finite numbers for the sentiment of 1 of 3 texts"):
        evaluate(Broken(), {"posts": rows})


def test_texts_that_training_nearly_saw_are_left_out_of_scores_of_their_own() -> None:
    some, none, every = sentiments((0, 0), (0, 1), (2, 2)), sentiments((1, 1)), sentiments((1, 1))
    answers = {"some": some, "none": replace(none, keys=("unseen",)), "every": replace(every, keys=("text 0",))}
    found = scores_without(answers, {"text 0", "text 2"})
    assert list(found) == ["some"], "of a set that has none of them, or nothing else, there is nothing to say"
    assert (found["some"].texts, found["some"].accuracy) == (1, 0.0)


def test_sentiment_is_counted_apart_by_topic() -> None:
    found = report({"posts/sentiment": sentiments((0, 0), (0, 1), (2, 2), topics=[3, 3, 5])})["posts/sentiment"]
    assert found.by_topic is not None
    assert found.by_topic.labelled == 0
    assert found.by_topic.confusions == {
        TOPICS[3]: [[1, 1, 0], [0, 0, 0], [0, 0, 0]],
        TOPICS[5]: [[0, 0, 0], [0, 0, 0], [0, 0, 1]],
    }


def test_a_topic_that_another_set_labels_goes_before_the_predicted_one() -> None:
    moods = sentiments((0, 0), (1, 1), topics=[3, 3])
    said = np.eye(20)[[3]]
    topics = Answers("topic", tuple(range(20)), moods.keys[:1], np.array([7]), said, said, np.array([3]))
    by_topic = report({"posts/topic": topics, "posts/sentiment": moods})["posts/sentiment"].by_topic
    assert by_topic is not None
    assert (by_topic.labelled, list(by_topic.confusions)) == (1, [TOPICS[3], TOPICS[7]])


def test_progress_counts_each_text_once(tiny_bundle: Bundle, tiny_splits: Splits) -> None:
    done: list[int] = []
    with Classifier.load(ModelSettings(bundle=tiny_bundle.folder)) as classifier:
        answer(classifier, tiny_splits.evaluation, done=done.append)
    assert sum(done) == sum(map(len, tiny_splits.evaluation.values()))


@pytest.mark.parametrize("theirs", [{"a": sentiments((0, 0), (1, 1))}, {}, {"b": sentiments((0, 0))}])
def test_answers_about_other_texts_are_not_compared(theirs: dict[str, Answers]) -> None:
    for one, other in (({"a": sentiments((0, 0))}, theirs), (theirs, {"a": sentiments((0, 0))})):
        with pytest.raises(InputError, match="different texts"):
            against(one, other)


def test_the_p_values_of_a_table_are_corrected_for_all_its_sets() -> None:
    """Eight of 60 texts that one alone has right: enough for a line by itself, and not for one of twenty."""
    right, wrong = [(0, 0), (1, 1), (2, 2)] * 20, [(0, 1), (1, 2)] * 4
    good, bad = sentiments(*right), sentiments(*wrong, *right[8:])
    bad = replace(bad, labels=good.labels)
    alone = against({"a": good}, {"a": bad})["a"]["accuracy"]
    others = {str(number): good for number in range(9)}
    among_others = against(others | {"a": good}, others | {"a": bad})["a"]["accuracy"]
    assert (alone.verdict, among_others.verdict) == ("better", "no real difference")
    assert among_others.raw_p == alone.raw_p
    assert among_others.p == pytest.approx(20 * alone.raw_p, rel=0.06)


class Unsure:
    """Gives the first class of either head, and nothing to the others."""

    temperatures = Temperatures(topic=2.0, sentiment=4.0)

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        return np.eye(20, dtype=np.float32)[[0] * len(texts)] * 8, np.eye(3, dtype=np.float32)[[0] * len(texts)] * 8


@pytest.mark.parametrize("given", [None, Temperatures(topic=8.0, sentiment=1.0)])
def test_each_head_is_measured_at_its_own_temperature(given: Temperatures | None) -> None:
    sets = {"posts": [Example("a", "topic", 0), Example("a", "sentiment", 0)]}
    used = given or Unsure.temperatures
    for head, found in answer(Unsure(), sets, given).items():
        first, second = found.probabilities[0, :2]
        wanted = used.topic if head.endswith("topic") else used.sentiment
        assert np.log(first / second) == pytest.approx(8 / wanted)


def test_data_that_changed_since_the_bundle_was_made_is_doubted(
    tiny_bundle: Bundle, tiny_splits: Splits, tiny_recipe: Recipe
) -> None:
    other = replace(tiny_splits, fingerprints={"moods.train": DataFingerprint(rows=1, sha256="0")})
    (doubt,) = doubts(tiny_bundle.manifest, other, tiny_recipe)
    assert "moods.train has changed" in doubt
    assert doubts(tiny_bundle.manifest, tiny_splits, tiny_recipe) == []


def test_what_the_second_model_of_a_composed_bundle_has_seen_is_doubted(
    tiny_bundle: Bundle, tiny_splits: Splits, tiny_recipe: Recipe
) -> None:
    made = tiny_bundle.manifest.made | {"composed": {"model": "a/finbert", "head": "sentiment"}}
    (doubt,) = doubts(msgspec.structs.replace(tiny_bundle.manifest, made=made), tiny_splits, tiny_recipe)
    assert doubt.startswith("what trained a/finbert, which answers for the sentiment, is not known: it may have seen")


def test_a_set_that_it_was_not_made_with_is_doubted(
    tiny_bundle: Bundle, tiny_splits: Splits, tiny_recipe: Recipe
) -> None:
    """Rows of what trained it, copied into a new file, are known by nobody."""
    fresh = replace(tiny_splits, fingerprints={"fresh.validation": DataFingerprint(rows=1, sha256="0")})
    (doubt,) = doubts(tiny_bundle.manifest, fresh, tiny_recipe)
    assert "fresh.validation is not among what it was made from and measured on" in doubt


@pytest.mark.parametrize("name", ["moods.validation", "fresh.validation"])
def test_what_trained_the_bundle_is_doubted_under_any_name(
    tiny_bundle: Bundle, tiny_splits: Splits, tiny_recipe: Recipe, name: str
) -> None:
    trained = tiny_splits.fingerprints["moods.train"]
    (doubt,) = doubts(tiny_bundle.manifest, replace(tiny_splits, fingerprints={name: trained}), tiny_recipe)
    assert f"{name}: trained {tiny_bundle.manifest.version}, as moods.train: 25% of it was held out" in doubt
    # What was held out as a whole may be called anything.
    data = {**tiny_bundle.manifest.data, "moods.validation": trained}
    kept = msgspec.structs.replace(tiny_bundle.manifest, data=data)
    assert doubts(kept, replace(tiny_splits, fingerprints={name: trained}), tiny_recipe) == []


@pytest.mark.parametrize(("name", "share", "doubted"), [("moods", 0.3, 1), ("moods", 0.2, 0), ("fresh", 0.3, 1)])
def test_a_larger_part_held_out_than_when_it_trained_is_doubted(
    tiny_bundle: Bundle, tiny_splits: Splits, tiny_recipe: Recipe, name: str, share: float, doubted: int
) -> None:
    source = tiny_recipe.sources[1].model_copy(update={"name": name, "holdout": share})
    recipe = tiny_recipe.model_copy(update={"sources": (tiny_recipe.sources[0], source)})
    now = replace(tiny_splits, fingerprints={f"{name}.train": tiny_splits.fingerprints["moods.train"]})
    assert len(doubts(tiny_bundle.manifest, now, recipe)) == doubted


def test_the_command_doubts_a_training_file_that_is_given_to_measure_on(
    tiny_bundle: Bundle, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (tiny_data / "recipe.toml").read_text(encoding="utf-8")
    other = text.replace('name = "moods"', 'name = "fresh"').replace(
        'train = "moods.csv"\nholdout = 0.25', 'evaluation = "moods.csv"'
    )
    (tmp_path / "recipe.toml").write_text(other, encoding="utf-8")
    arguments = ["evaluate", str(tiny_bundle.folder), "--data", str(tiny_data)]
    assert run([*arguments, "--recipe", str(tmp_path / "recipe.toml")]) == 0
    assert "note: fresh.validation: trained tiny-int8-" in capsys.readouterr().err


@pytest.mark.parametrize(("language", "wanted"), [("zh", 1), ("en", 0), ("de", None)])
def test_the_checks_are_in_the_bundle_s_language(
    tiny_bundle: Bundle, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    language: str, wanted: int | None,
) -> None:  # fmt: skip
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    write_manifest(folder, msgspec.structs.replace(tiny_bundle.manifest, language=language))
    assert run(measured(tiny_data, folder, "--json")) == 0
    found = json.loads(capsys.readouterr().out)["checks"]
    if wanted is None:
        assert found == []
        assert run(measured(tiny_data, folder)) == 0
        return
    chinese = [case["text"] for check in found for case in check["failures"] if not case["text"].isascii()]
    assert bool(chinese) == bool(wanted)


def test_the_command_shows_classes_confusion_and_topics(
    tiny_bundle: Bundle, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(measured(tiny_data, tiny_bundle.folder)) == 0
    shown = capsys.readouterr().out
    assert "moods.holdout/sentiment: " in shown
    assert "AUROC" in shown
    assert "recall of negatives" in shown
    assert " 4 Politics " in shown


def test_a_calibration_that_is_off_is_shown_by_confidence() -> None:
    """Every answer is given with certainty: where one of four is wrong that is a quarter too much."""
    right, wrong = sentiments(*[(0, 0)] * 4), sentiments(*[(0, 0)] * 3, (0, 1))
    found = report({"right/sentiment": right, "wrong/sentiment": wrong})
    assert found["wrong/sentiment"].scores.calibration_error == mean_gap(found["wrong/sentiment"].reliability) == 0.25
    assert list(miscalibrated(found)) == [
        "calibration of wrong/sentiment: off by 0.250",
        "    confidence  texts   mean  right",
        "  0.933-1.000      4  1.000  0.750",
        "",
    ]


def test_the_bins_are_those_of_the_probabilities_that_are_scored() -> None:
    """Of a set that knows some classes: among those, as its accuracy and its calibration error are."""
    some = replace(sentiments((0, 0)), classes=(0, 2), served=np.array([[0.5, 0.3, 0.2]]))
    found = report({"bulls/sentiment": some})["bulls/sentiment"]
    assert [(one.texts, one.confidence) for one in found.reliability if one.texts] == [(1, 1.0)]


def test_the_command_says_of_a_calibration_that_is_off_and_of_no_other(
    tiny_bundle: Bundle, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    unsure = msgspec.structs.replace(tiny_bundle.manifest.temperatures, sentiment=20.0)
    write_manifest(folder, msgspec.structs.replace(tiny_bundle.manifest, temperatures=unsure))
    assert run(measured(tiny_data, folder)) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("calibration of ")]
    assert [line.partition(": off by 0.")[0] for line in lines] == ["calibration of moods.holdout/sentiment"]


def test_what_is_wrong_with_the_options_is_said_before_the_work(
    tiny_bundle: Bundle, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("model.evaluation.evaluate.answer", None)
    assert run(measured(tiny_data, tiny_bundle.folder, "--against", "nowhere")) == 2
    assert "nowhere: no such bundle folder" in capsys.readouterr().err


def test_json_plots_and_comparison_in_one_go(
    tiny_bundle: Bundle, tiny_float_bundle: Bundle, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--against", tiny_float_bundle.folder, "--plots", tmp_path / "plots", "--json")
    assert run(measured(tiny_data, tiny_bundle.folder, *options)) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["bundle"] == tiny_bundle.manifest.version
    moods = found["sets"]["moods.holdout/sentiment"]
    assert sum(map(sum, moods["confusion"])) == moods["scores"]["texts"]
    assert moods["auroc"] > 0.9
    assert len(moods["reliability"]) == 15
    assert sum(one["texts"] for one in moods["reliability"]) == moods["scores"]["texts"]
    assert moods["reliability"][-1].keys() == {"low", "high", "texts", "confidence", "accuracy"}
    gaps = [one["texts"] * abs(one["confidence"] - one["accuracy"]) for one in moods["reliability"]]
    assert sum(gaps) / moods["scores"]["texts"] == pytest.approx(moods["scores"]["calibration_error"], abs=0.0001)
    assert found["against"]["bundle"] == tiny_float_bundle.manifest.version
    macro_f1 = found["against"]["differences"]["moods.holdout/sentiment"]["macro_f1"]
    assert macro_f1["verdict"] == "no real difference"
    assert 0.05 < macro_f1["raw_p"] <= macro_f1["p"] <= 1
    assert found["against"]["tally"] == {"lines": 4, "better": 0, "worse": 0}
    for name in ("things.holdout-topic", "things.holdout-topic-reliability", "moods.holdout-sentiment-reliability"):
        height, width, _ = imread(tmp_path / "plots" / f"{name}.png").shape
        assert min(height, width) > 600


def test_a_comparison_is_said_in_words(
    tiny_bundle: Bundle, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(measured(tiny_data, tiny_bundle.folder, "--against", tiny_bundle.folder)) == 0
    shown = capsys.readouterr().out
    assert "accuracy  +0.0 points (+0.0 to +0.0), p = 1.000: no real difference" in shown
    lines = shown.splitlines()
    assert lines[-1].startswith(
        "  over all sets 0 of 4 better, 0 worse, 4 no real difference; p is corrected for 4 lines"
    )
