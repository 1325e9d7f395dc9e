"""Recipe to classifier in one go, on a network so small that it learns in seconds."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from deploy import cli
from model.bundle import Bundle, DataFingerprint, Manifest, Precision, Temperatures, write_manifest
from model.classifier import Classifier, Prediction
from model.data.examples import Example
from model.data.leaks import LeakError
from model.data.near_duplicates import near_duplicates
from model.data.recipe import Recipe
from model.data.splits import Splits
from model.errors import FinSentryError, InputError
from model.evaluation.card import CARD_FILE
from model.evaluation.checklist import texts_of
from model.evaluation.checklist_cases import CHECKS
from model.evaluation.checklists import CHECKLISTS
from model.evaluation.evaluate import Answers, answer, scores_without
from model.export.measure import losses, profiled, require_no_loss, scored
from model.export.release import learned_cases, release
from model.export.to_onnx import TOLERANCE, ExportError, export, largest_difference
from model.language import by_script
from model.settings import ModelSettings
from model.training.network import TwoHeads
from model.training.run import RUN_FILE, read_run
from model.training.train import train
from tests.unit.model.conftest import THINGS


def test_the_bundle_says_what_its_network_learned(tiny_bundle: Bundle) -> None:
    with Classifier.load(ModelSettings(bundle=tiny_bundle.folder)) as classifier:
        oil, senate = classifier.classify(["oil tumbles sharply today", "senate soars as expected"])
    assert (oil.topic, oil.sentiment) == ("Energy | Oil", "negative")
    assert (senate.topic, senate.sentiment) == ("Politics", "positive")


def test_the_bundle_says_which_weights_its_training_began_at(tiny_bundle: Bundle, tiny_encoder: Path) -> None:
    assert tiny_bundle.manifest.made["encoder"] == TwoHeads.pretrained(tiny_encoder).digest()


def test_the_manifest_carries_the_metrics_of_each_held_out_set_and_head(tiny_bundle: Bundle) -> None:
    metrics = tiny_bundle.manifest.metrics
    assert set(metrics) == {"things.holdout/topic", "moods.holdout/sentiment"}
    assert sum(scores.texts for scores in metrics.values()) > 30
    assert min(scores.accuracy for scores in metrics.values()) > 0.9


def test_the_manifest_says_how_good_it_is_on_texts_unlike_those_that_trained(
    tiny_bundle: Bundle, tiny_splits: Splits
) -> None:
    held_out = (example.key for rows in tiny_splits.evaluation.values() for example in rows)
    near = near_duplicates(held_out, (example.key for example in tiny_splits.train))
    with Classifier.load(ModelSettings(bundle=tiny_bundle.folder)) as classifier:
        answers = answer(classifier, tiny_splits.evaluation)
    assert near
    assert tiny_bundle.manifest.without_near_duplicates == scores_without(answers, near)


def test_the_manifest_says_what_float32_scores_too(tiny_bundle: Bundle) -> None:
    before = tiny_bundle.manifest.made["float32"]
    assert before.keys() == tiny_bundle.manifest.metrics.keys()
    assert before["things.holdout/topic"]["texts"] == tiny_bundle.manifest.metrics["things.holdout/topic"].texts


def test_the_manifest_says_what_texts_the_bundle_is_made_for(tiny_bundle: Bundle, tiny_splits: Splits) -> None:
    reference = tiny_bundle.manifest.reference
    assert reference is not None
    assert reference.texts == len(tiny_splits.calibration) == sum(reference.counts["topics"])


@pytest.mark.parametrize(("enough", "warned"), [(10_000, True), (10, False)])
def test_a_profile_of_too_few_texts_is_warned_of(
    tiny_bundle: Bundle,
    tiny_splits: Splits,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    enough: int,
    warned: bool,
) -> None:
    monkeypatch.setattr("model.export.measure.ENOUGH_REFERENCE", enough)
    profiled(tiny_bundle.folder, tiny_bundle.manifest, tiny_splits)
    assert ("drift will not be told" in caplog.text) == warned


def of(language: str, splits: Splits, bundle: Bundle) -> Manifest:
    """What a bundle for `language` says of half English, half Chinese texts that tempered it."""
    chinese = [replace(example, text=f"{example.text} 贵州茅台上半年净利润下降") for example in splits.calibration[::2]]
    mixed = replace(splits, calibration=[*splits.calibration, *chinese])
    bare = msgspec.structs.replace(bundle.manifest, language=language, reference=None, checklist={})
    return profiled(bundle.folder, bare, mixed)


def test_a_bundle_is_made_for_texts_of_its_language_whatever_trains_it(
    tiny_splits: Splits, tiny_bundle: Bundle
) -> None:
    chinese, english = (of(language, tiny_splits, tiny_bundle).reference for language in ("zh", "en"))
    assert chinese is not None
    assert english is not None
    assert chinese.texts == len(tiny_splits.calibration[::2])
    assert english == tiny_bundle.manifest.reference


@pytest.mark.parametrize("language", ["en", "zh", "de"])
def test_the_checklist_is_in_the_language_of_the_bundle(
    tiny_splits: Splits, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    asked: list[str] = []
    classify = Classifier.classify

    def listen(self: Classifier, texts: Sequence[str]) -> list[Prediction]:
        asked.extend(texts)
        return classify(self, texts)

    monkeypatch.setattr(Classifier, "classify", listen)
    found = of(language, replace(tiny_splits, calibration=[]), tiny_bundle).checklist
    assert len(found) == len(CHECKLISTS.get(language, ()))
    if language != "de":
        assert {language} == {by_script(text) or "en" for text in asked}


def test_a_recipe_s_language_is_its_bundle_s(tiny_run: Path, tiny_splits: Splits, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    said = json.loads((run / RUN_FILE).read_bytes())
    said["recipe"]["language"] = "zh"
    (run / RUN_FILE).write_text(json.dumps(said), encoding="utf-8")
    assert release([run], tiny_splits, tmp_path / "bundle", "fp32").manifest.language == "zh"


def test_the_manifest_has_the_sentiments_of_each_topic(tiny_bundle: Bundle) -> None:
    (found,) = tiny_bundle.manifest.by_topic.values()
    assert tiny_bundle.manifest.by_topic.keys() == {"moods.holdout/sentiment"}
    assert found.confusions.keys() == set(THINGS.values())
    texts = sum(sum(map(sum, confusion)) for confusion in found.confusions.values())
    assert texts == tiny_bundle.manifest.metrics["moods.holdout/sentiment"].texts


def test_the_manifest_says_how_far_the_onnx_is_from_the_network(
    tiny_run: Path, tiny_bundle: Bundle, tiny_float_bundle: Bundle, tiny_half_bundle: Bundle
) -> None:
    wanted = largest_difference(TwoHeads.load(tiny_run), tiny_float_bundle.model_path)
    assert 0 < wanted <= TOLERANCE
    for bundle in (tiny_float_bundle, tiny_bundle):
        assert bundle.manifest.made["parity"] == {"fp32": pytest.approx(wanted, rel=0.5)}
    assert tiny_half_bundle.manifest.made["parity"]["fp16"] > wanted


def answers(labels: int, right: int) -> dict[str, Answers]:
    """A set of two sentiments, of which so many texts are called what they are."""
    wanted = np.arange(labels) % 2
    called = np.where(np.arange(labels) < right, wanted, 1 - wanted)
    keys = tuple(map(str, range(labels)))
    said = np.eye(3)[called]
    return {"posts/sentiment": Answers("sentiment", (0, 1, 2), keys, wanted, said, said, wanted)}


def compared(bundle: Bundle, before: dict[str, Answers], after: dict[str, Answers]) -> Manifest:
    return msgspec.structs.replace(scored(bundle.manifest, after), lost=losses(before, after))


@pytest.mark.parametrize(
    ("labels", "before", "after"),
    [
        pytest.param(2000, 1500, 1480, id="a large set"),
        pytest.param(100, 90, 70, id="a small set, and no chance"),
    ],
)
def test_int8_that_loses_more_than_half_a_point_is_refused(
    tiny_bundle: Bundle, labels: int, before: int, after: int
) -> None:
    with pytest.raises(ExportError, match=r"more than 0\.5 points .* posts/sentiment by .*\n.*--allow-loss"):
        require_no_loss(compared(tiny_bundle, answers(labels, before), answers(labels, after)))


@pytest.mark.parametrize(
    ("labels", "before", "after", "told"),
    [
        pytest.param(2000, 1500, 1495, [], id="less than half a point"),
        pytest.param(100, 90, 89, ["posts/sentiment"], id="a text of a small set, which is told"),
        pytest.param(100, 70, 90, [], id="a gain"),
    ],
)
def test_a_loss_within_bounds_is_exported(
    tiny_bundle: Bundle, labels: int, before: int, after: int, told: list[str]
) -> None:
    manifest = compared(tiny_bundle, answers(labels, before), answers(labels, after))
    require_no_loss(manifest)
    assert list(manifest.lost or {}) == told
    for loss in (manifest.lost or {}).values():
        assert loss.low <= 0 < loss.value < loss.high


def test_a_rare_class_that_int8_loses_is_not_made_good_by_the_others(tiny_bundle: Bundle) -> None:
    """A text in 250, so accuracy loses less than half a point."""
    wanted = np.where(np.arange(2000) < 8, 2, np.arange(2000) % 2)

    def said(called: np.ndarray) -> dict[str, Answers]:
        rows = np.eye(3)[called]
        keys = tuple(map(str, range(2000)))
        return {"posts/sentiment": Answers("sentiment", (0, 1, 2), keys, wanted, rows, rows, wanted)}

    with pytest.raises(ExportError, match=r"posts/sentiment by 33\."):
        require_no_loss(compared(tiny_bundle, said(wanted), said(np.minimum(wanted, 1))))


def test_a_loss_ends_the_command_unless_it_is_allowed(
    tiny_run: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("model.export.measure.LARGEST_LOSS", -1.0)
    monkeypatch.setattr("model.export.measure.SMALL_SET", 0)
    arguments = ["export", str(tiny_run), "--data", str(tiny_data), "--out", str(tmp_path / "bundle")]
    assert cli.run(arguments) == 1
    assert not (tmp_path / "bundle").exists()
    assert "--allow-loss" in capsys.readouterr().err
    assert cli.run([*arguments, "--allow-loss", "--json"]) == 0
    manifest = Bundle.load(tmp_path / "bundle").manifest
    assert json.loads(capsys.readouterr().out)["version"] == manifest.version
    assert manifest.lost is not None
    assert manifest.lost.keys() == manifest.metrics.keys(), "what was let through is told"


def test_without_held_out_texts_of_a_head_nothing_is_quantised_unless_that_is_wanted(
    tiny_run: Path, tiny_splits: Splits, tmp_path: Path
) -> None:
    evaluation = {name: rows for name, rows in tiny_splits.evaluation.items() if name.startswith("moods")}
    half, bundle = replace(tiny_splits, evaluation=evaluation), tmp_path / "bundle"
    unmeasurable: tuple[Precision, ...] = ("int8", "fp16")
    for precision in unmeasurable:
        with pytest.raises(InputError, match=rf"no text that has a topic, .* what {precision} loses\n.*--allow-loss"):
            release([tiny_run], half, bundle, precision)
    assert not bundle.exists()
    assert release([tiny_run], half, bundle, "fp32").manifest.lost is None
    release([tiny_run], half, bundle, "int8", allow_loss=True)
    assert "what is lost there was not measured" in (bundle / CARD_FILE).read_text(encoding="utf-8")


def test_a_run_with_cut_weights_is_named(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be loaded"):
        TwoHeads.load(run)


def test_an_encoder_with_cut_weights_is_named(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="encoder: the encoder cannot be loaded"):
        TwoHeads.pretrained(folder)


def test_where_the_encoder_lay_is_not_told(tiny_bundle: Bundle, tiny_encoder: Path) -> None:
    assert str(tiny_encoder) not in (tiny_bundle.folder / "bundle.json").read_text(encoding="utf-8")


def test_the_version_names_what_probabilities_follow_from(tiny_bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    plain = msgspec.structs.replace(tiny_bundle.manifest, version="tiny-int8")
    assert write_manifest(folder, plain).version == tiny_bundle.manifest.version
    warmer = msgspec.structs.replace(plain, temperatures=Temperatures(topic=2.0))
    named = {tiny_bundle.manifest.version, write_manifest(folder, warmer).version}
    with (folder / "tokenizer.json").open("a", encoding="utf-8") as file:
        file.write(" ")
    named.add(write_manifest(folder, plain).version)
    assert len(named) == 3


def test_a_float32_bundle_computes_what_the_network_computes(tiny_run: Path, tiny_float_bundle: Bundle) -> None:
    assert tiny_float_bundle.manifest.precision == "fp32"
    assert largest_difference(TwoHeads.load(tiny_run), tiny_float_bundle.model_path) <= TOLERANCE


def test_an_export_that_differs_by_more_than_the_tolerance_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="differs from the network by"):
        export(TwoHeads.load(tiny_run), tmp_path / "model.onnx", tolerance=-1.0)


def test_an_export_of_what_is_not_a_number_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    network = TwoHeads.load(tiny_run)
    with torch.no_grad():
        network.topic.bias[3] = float("nan")
    with pytest.raises(ExportError, match="differs from the network by nan"):
        export(network, tmp_path / "model.onnx")


def test_a_training_that_diverges_says_so_at_once(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> None:
    steep = tiny_recipe.training.model_copy(update={"learning_rate": 1e30, "clip": 1e30, "warm_up": 0.0})
    with pytest.raises(FinSentryError, match=r"the loss is (nan|inf) at step \d+ of .*: it diverged"):
        train(tiny_recipe.model_copy(update={"training": steep}), tiny_splits, tmp_path / "run")


def test_a_head_that_nothing_trained_is_not_exported(tiny_run: Path, tiny_splits: Splits, tmp_path: Path) -> None:
    half = replace(tiny_splits, train=[example for example in tiny_splits.train if example.head == "sentiment"])
    with pytest.raises(InputError, match="no source of its recipe trained the topic"):
        release([tiny_run], half, tmp_path / "bundle")


@pytest.mark.parametrize("option", ["--recipe", "--beside", "--head", "--labels", "--revision"])
def test_options_for_published_models_are_not_passed_over(
    option: str, tiny_run: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {"--head": "topic", "--labels": "a=b"}.get(option, "x")
    arguments = ["export", str(tiny_run), "--data", str(tiny_data), "--out", str(tmp_path / "bundle"), option, value]
    assert cli.run(arguments) == 2
    assert f"{option} goes with --hub" in capsys.readouterr().err


def test_checks_that_train_are_told_by_their_texts(tiny_splits: Splits, tiny_float_bundle: Bundle) -> None:
    assert tiny_float_bundle.manifest.made["checks_that_nearly_train"] == []
    text = texts_of(CHECKS)[-1]
    learned = Example(f"{text.upper()} !", "sentiment", 0)
    assert learned_cases("en", replace(tiny_splits, train=[*tiny_splits.train, learned])) == [text]
    nearly = Example(f"{text} again", "sentiment", 0)
    assert learned_cases("en", replace(tiny_splits, train=[nearly])) == [text]
    assert learned_cases("zh", replace(tiny_splits, train=[learned])) == []


def test_another_network_s_export_is_noticed(tiny_run: Path, tmp_path: Path) -> None:
    network = TwoHeads.load(tiny_run)
    export(network, tmp_path / "model.onnx")
    network.sentiment.bias.data += 0.01
    assert largest_difference(network, tmp_path / "model.onnx") > TOLERANCE


def test_a_run_is_not_released_against_data_it_was_not_trained_on(
    tiny_run: Path, tiny_splits: Splits, tmp_path: Path
) -> None:
    other = replace(tiny_splits, fingerprints={"new.train": DataFingerprint(rows=1, sha256="0")})
    with pytest.raises(InputError, match="other data"):
        release([tiny_run], other, tmp_path / "bundle")


def test_training_refuses_a_text_that_it_will_be_measured_on(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    leaking = replace(tiny_splits, evaluation={"fresh": tiny_splits.train[:1]})
    with pytest.raises(LeakError, match=r"fresh: .* also stands in what trains"):
        train(tiny_recipe, leaking, tmp_path)


def test_a_folder_without_a_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.json"):
        read_run(tmp_path)


def test_an_encoder_that_stands_elsewhere_takes_the_place_of_the_recipes(
    tiny_data: Path, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.toml"
    text = (tiny_data / "recipe.toml").read_text(encoding="utf-8")
    recipe.write_text(text.replace(str(tiny_encoder), "not-here"), encoding="utf-8")
    arguments = ["train", str(recipe), "--data", str(tiny_data), "--out", str(tmp_path / "run"), "--epochs", "1"]

    assert cli.run([*arguments, "--encoder", str(tiny_encoder)]) == 0
    assert read_run(tmp_path / "run").recipe["encoder"]["folder"] == str(tiny_encoder)  # type: ignore[index]
    capsys.readouterr()
    arguments[arguments.index(str(tmp_path / "run"))] = str(tmp_path / "other")
    assert cli.run(arguments) == 2
    assert "not-here: no encoder here" in capsys.readouterr().err
