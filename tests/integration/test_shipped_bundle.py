"""The bundle that ships is as good as its card says, on whatever processor this runs."""

import pytest

from model.classifier import Classifier
from model.data.recipe import CONFIGS, read_recipe
from model.data.splits import load_evaluation
from model.evaluation.evaluate import evaluate
from model.settings import ModelSettings
from tests.shared import shared

NAME = "twitter_sent.validation/sentiment"


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
