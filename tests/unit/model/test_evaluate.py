"""What is measured of a bundle, and how the command shows it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from deploy.cli import run
from model.bundle import Bundle, DataFingerprint
from model.classifier import Classifier
from model.data import Example, Splits
from model.errors import InputError
from model.evaluate import Answers, against, answer, doubts, evaluate, report
from model.labels import TOPICS
from model.settings import ModelSettings


def sentiments(*pairs: tuple[int, int], topics: Sequence[int] = ()) -> Answers:
    """Answers of (label, called) pairs."""
    return Answers(
        head="sentiment",
        classes=(0, 1, 2),
        keys=tuple(f"text {index}" for index in range(len(pairs))),
        labels=np.array([label for label, _ in pairs]),
        probabilities=np.eye(3)[[called for _, called in pairs]],
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
    topics = replace(moods, head="topic", keys=moods.keys[:1], labels=np.array([7]), probabilities=np.eye(20)[[3]])
    by_topic = report({"posts/topic": topics, "posts/sentiment": moods})["posts/sentiment"].by_topic
    assert by_topic is not None
    assert (by_topic.labelled, list(by_topic.confusions)) == (1, [TOPICS[3], TOPICS[7]])


def test_progress_counts_each_text_once(tiny_bundle: Bundle, tiny_splits: Splits) -> None:
    done: list[int] = []
    with Classifier.load(ModelSettings(bundle=tiny_bundle.folder)) as classifier:
        answer(classifier, tiny_splits.evaluation, done=done.append)
    assert sum(done) == sum(map(len, tiny_splits.evaluation.values()))


def test_answers_about_other_texts_are_not_compared() -> None:
    with pytest.raises(InputError, match="different texts"):
        against({"a": sentiments((0, 0))}, {"a": sentiments((0, 0), (1, 1))})


def test_data_that_changed_since_the_bundle_was_made_is_doubted(tiny_bundle: Bundle, tiny_splits: Splits) -> None:
    other = replace(tiny_splits, fingerprints={"moods.train": DataFingerprint(rows=1, sha256="0")})
    (doubt,) = doubts(tiny_bundle.manifest, other)
    assert "moods.train has changed" in doubt
    assert doubts(tiny_bundle.manifest, tiny_splits) == []


def test_the_command_shows_classes_confusion_and_topics(
    tiny_bundle: Bundle, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(measured(tiny_data, tiny_bundle.folder)) == 0
    shown = capsys.readouterr().out
    assert "moods.holdout/sentiment: " in shown
    assert "AUROC" in shown
    assert "recall of negatives" in shown
    assert " 4 Politics " in shown


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
    assert found["against"]["bundle"] == tiny_float_bundle.manifest.version
    assert found["against"]["differences"]["moods.holdout/sentiment"]["macro_f1"]["verdict"] == "no real difference"
    height, width, _ = imread(tmp_path / "plots" / "things.holdout-topic.png").shape
    assert min(height, width) > 600


def test_a_comparison_is_said_in_words(
    tiny_bundle: Bundle, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(measured(tiny_data, tiny_bundle.folder, "--against", tiny_bundle.folder)) == 0
    assert "accuracy  +0.0 points (+0.0 to +0.0): no real difference" in capsys.readouterr().out
