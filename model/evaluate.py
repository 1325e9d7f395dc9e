"""A bundle on held-out sets, measured through the classifier that serves it."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.bundle import Scores, Temperatures
from model.classifier import Classifier, softmax
from model.data import Example, load_splits
from model.metrics import ClassScores, accuracy, calibration_error, class_scores, macro_f1
from model.recipe import LABELS, Head, read_recipe
from model.settings import ModelSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """One head on one set."""

    scores: Scores
    classes: dict[str, ClassScores]


def evaluate(
    classifier: Classifier, sets: Mapping[str, Sequence[Example]], temperatures: Temperatures | None = None
) -> dict[str, Report]:
    """A report for each set and head it has labels of, by `set/head`. `temperatures` replace the bundle's."""
    temperatures = temperatures or classifier.bundle.manifest.temperatures
    reports = {}
    for name, examples in sets.items():
        heads: tuple[Head, ...] = ("topic", "sentiment")
        for head in heads:
            if rows := [example for example in examples if example.head == head]:
                reports[f"{name}/{head}"] = _report(classifier, head, rows, temperatures)
    return reports


def _report(classifier: Classifier, head: Head, rows: Sequence[Example], temperatures: Temperatures) -> Report:
    topics, sentiments = classifier.logits([example.text for example in rows])
    logits = topics / temperatures.topic if head == "topic" else sentiments / temperatures.sentiment
    probabilities = softmax(logits)
    labels = np.array([example.label for example in rows], dtype=np.int64)
    return Report(
        Scores(
            texts=len(rows),
            accuracy=round(accuracy(probabilities, labels), 4),
            macro_f1=round(macro_f1(probabilities, labels), 4),
            calibration_error=round(calibration_error(probabilities, labels), 4),
        ),
        dict(zip(LABELS[head], class_scores(probabilities, labels), strict=True)),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.evaluate", description=__doc__)
    parser.add_argument("recipe", type=Path, help="whose held-out sets to measure on")
    parser.add_argument("--bundle", type=Path, help="folder of the bundle; the shipped one if absent")
    parser.add_argument("--data", type=Path, required=True, help="folder that the recipe's paths are relative to")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    splits = load_splits(read_recipe(options.recipe), options.data)
    with Classifier.load(ModelSettings(bundle=options.bundle)) as classifier:
        for name, report in evaluate(classifier, splits.evaluation).items():
            logger.info("%s %s", name, report.scores)
            for label, scores in report.classes.items():
                logger.info("  %-28s %s", label, scores)


if __name__ == "__main__":
    main()
