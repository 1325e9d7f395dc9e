"""The bundle that ships is as good as its card says, on whatever processor this runs."""

import pytest

from model.classifier import Classifier
from model.data.examples import Example
from model.data.near_duplicates import near_duplicates
from model.data.recipe import CONFIGS, read_recipe
from model.data.splits import load_evaluation, load_splits
from model.evaluation.card import FIRM_TEXTS
from model.evaluation.checklists import CHECKLISTS
from model.evaluation.evaluate import evaluate
from model.settings import ModelSettings
from tests.shared import shared


@pytest.mark.parametrize(("language", "recipe"), [("en", "default.toml"), ("zh", "zh.toml")])
def test_no_case_of_the_checks_stands_or_nearly_stands_in_a_text_that_trains(language: str, recipe: str) -> None:
    splits = load_splits(read_recipe(CONFIGS / recipe), shared("data/twitter_sent").parent)
    trains = "\n".join(example.key for example in [*splits.train, *splits.calibration])
    texts = {text for check in CHECKLISTS[language] for case in check.cases for text in case[:2] if text}
    keys = [Example(text, "sentiment", 0).key for text in texts]
    assert len(keys) > 100
    assert [key for key in keys if key in trains] == []
    assert near_duplicates(keys, trains.split("\n")) == frozenset()


@pytest.mark.timeout(180)
def test_its_figures_are_found_again() -> None:
    root = shared("data/twitter_sent").parent
    sets = load_evaluation(read_recipe(CONFIGS / "default.toml"), root).evaluation
    with Classifier.load(ModelSettings()) as classifier:
        claims = classifier.bundle.manifest.metrics
        reports = evaluate(classifier, sets)
    assert reports.keys() == claims.keys()
    for name, claimed in claims.items():
        found = reports[name].scores
        assert found.texts == claimed.texts, name
        # Sums of floats differ between processors by their last bits, which may tip a text that hangs in the balance.
        tipped = max(0.002, 1 / found.texts)
        assert found.accuracy == pytest.approx(claimed.accuracy, abs=tipped), name
        if found.texts >= FIRM_TEXTS:  # of twenty topics one has a text or two in a small set
            assert found.macro_f1 == pytest.approx(claimed.macro_f1, abs=0.003), name
            assert found.calibration_error == pytest.approx(claimed.calibration_error, abs=0.003), name
