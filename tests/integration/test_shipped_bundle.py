"""The bundle that ships is as good as its card says, on whatever processor this runs."""

import pytest

from model.classifier import Classifier
from model.data.alike import alike
from model.data.recipe import CONFIGS, read_recipe
from model.data.splits import Example, load_evaluation, load_splits
from model.evaluation.checklists import CHECKLISTS
from model.evaluation.evaluate import evaluate
from model.settings import ModelSettings
from tests.shared import shared

NAME = "twitter_sent.validation/sentiment"


def test_no_case_of_its_checks_stands_in_a_text_that_trains() -> None:
    splits = load_splits(read_recipe(CONFIGS / "default.toml"), shared("data/twitter_sent").parent)
    texts = {text for check in CHECKLISTS["en"] for case in check.cases for text in case[:2] if text}
    cases = [Example(text, "sentiment", 0) for text in texts]
    trains = [*splits.train, *splits.calibration]
    assert {case.key for case in cases} & {example.key for example in trains} == set()
    assert len(alike(cases, trains)) <= 3, "plain sentences, each a word from one that trains"


@pytest.mark.timeout(180)
def test_its_figures_are_found_again() -> None:
    root = shared("data/twitter_sent").parent
    sets = load_evaluation(read_recipe(CONFIGS / "default.toml"), root).evaluation
    (name,) = [name for name in sets if name.startswith("twitter_sent")]
    with Classifier.load(ModelSettings()) as classifier:
        claimed = classifier.bundle.manifest.metrics[NAME]
        found = evaluate(classifier, {name: sets[name]})[NAME].scores
    assert found.texts == claimed.texts
    # Sums of floats differ between processors by their last bits, which may tip a few texts that hang in the balance.
    assert found.accuracy == pytest.approx(claimed.accuracy, abs=0.002)
    assert found.macro_f1 == pytest.approx(claimed.macro_f1, abs=0.003)
    assert found.calibration_error == pytest.approx(claimed.calibration_error, abs=0.003)
