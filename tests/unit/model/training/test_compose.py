"""A published classifier with one head beside a bundle of ours: small ones, of kinds that read other inputs."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification

from deploy import cli
from deploy.promoting import read_bundle
from model.bundle import FILES, Bundle, Loss, Precision
from model.classifier import Classifier, softmax
from model.data.splits import Splits
from model.errors import BundleError, InputError
from model.explain import explain
from model.export.compose import Origin, compose
from model.export.hub_head import HubHead, label_order
from model.export.release import release
from model.export.to_onnx import TOLERANCE, ExportError
from model.labels import SENTIMENTS, TOPICS
from model.settings import ModelSettings
from model.training.tokenizer_file import write_tokenizer
from tests.unit.model.conftest import FILLERS, MOODS, THINGS
from tests.unit.model.training.test_encoders import KNOWN

CLASSES = ("positive", "negative", "neutral")
"""In FinBERT's order, which is not ours."""

# Another order than in the tokenizer of the bundle, and words in pieces.
WORDPIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *reversed(FILLERS),
    *THINGS,
    "tumble",
    "hold",
    "soar",
    "##s",
]

TEXTS = [
    f"{thing} {mood} {filler}" for thing in THINGS for mood in MOODS for filler in ("today", "as expected on friday")
]


def published(kind: str, folder: Path, classes: tuple[str, ...] = CLASSES, **more: Any) -> Path:
    """A model of random weights, large enough that its answers differ from text to text."""
    torch.manual_seed(3)
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: index for index, name in enumerate(classes)}}
    config = AutoConfig.for_model(kind, **KNOWN[kind], **{**labels, **more})
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDPIECES), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    return folder


@pytest.fixture(scope="session", params=["bert", "distilbert", "roberta"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(request.param, tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def finbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published("bert", tmp_path_factory.mktemp("hub") / "FinBERT")


@pytest.fixture(scope="session")
def composed(finbert: Path, tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("composed")
    arguments = ["export", "--hub", str(finbert), "--beside", str(tiny_bundle.folder), "--out", str(folder)]
    assert cli.run(arguments) == 0
    return folder


def own_answers(model: Path, scratch: Path) -> np.ndarray:
    """What transformers says of the texts one by one: their probabilities in our order."""
    write_tokenizer(model, scratch)
    tokenizer = Tokenizer.from_file(str(scratch / "tokenizer.json"))
    tokenizer.enable_truncation(16)
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.no_grad():
        logits = [network(torch.tensor([tokenizer.encode(text).ids])).logits[0].numpy() for text in TEXTS]
    return softmax(np.array(logits))[:, [CLASSES.index(name) for name in SENTIMENTS]]


def answers(folder: Path) -> tuple[list[str], np.ndarray]:
    with Classifier.load(ModelSettings(bundle=folder)) as classifier:
        found = classifier.classify(TEXTS)
    return [one.topic for one in found], np.array([one.probabilities for one in found])


def test_sentiments_are_the_published_model_s_and_topics_the_bundle_s(
    model: Path, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    compose(tiny_bundle, HubHead(model, "sentiment", {}), Origin(model, "team/own"), tmp_path / "bundle")
    topics, moods = answers(tmp_path / "bundle")
    expected = own_answers(model, tmp_path)
    assert np.abs(moods - expected).max() < 1e-4
    assert len({tuple(row) for row in np.round(expected, 2)}) > 3, "a model that says the same of every text"
    assert topics == answers(tiny_bundle.folder)[0]
    assert np.abs(moods - answers(tiny_bundle.folder)[1]).max() > 0.1


def test_a_model_of_topics_is_put_beside_sentiments(tiny_bundle: Bundle, tmp_path: Path) -> None:
    names = tuple(f"c{index}" for index in range(20))
    model = published("distilbert", tmp_path / "model", names)
    labels = dict(zip(names, reversed(TOPICS), strict=True))
    compose(tiny_bundle, HubHead(model, "topic", labels), Origin(model, "team/own"), tmp_path / "bundle")
    with (
        Classifier.load(ModelSettings(bundle=tmp_path / "bundle")) as ours,
        Classifier.load(ModelSettings(bundle=tiny_bundle.folder)) as before,
    ):
        topics, sentiments = ours.logits(TEXTS)
        assert np.array_equal(sentiments, before.logits(TEXTS)[1])
    write_tokenizer(model, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.no_grad():
        expected = network(torch.tensor([tokenizer.encode(TEXTS[0]).ids])).logits[0].numpy()
    assert np.abs(topics[0] - expected[::-1]).max() < TOLERANCE


def test_a_text_scores_the_same_in_any_company(composed: Path) -> None:
    with Classifier.load(ModelSettings(bundle=composed, threads=2, batch_tokens=40)) as classifier:
        together = classifier.classify(TEXTS)
        assert together == [classifier.classify([text])[0] for text in TEXTS]


def test_in_other_portions_it_says_the_same(composed: Path) -> None:
    with (
        Classifier.load(ModelSettings(bundle=composed, threads=1)) as classifier,
        classifier.placed(classifier.placement._replace(threads=2, batch_tokens=40)) as other,
    ):
        assert other.classify(TEXTS) == classifier.classify(TEXTS)


def test_its_two_models_have_names_of_their_own(composed: Path) -> None:
    bundle = Bundle.load(composed)
    (second,) = bundle.heads().values()
    assert second.manifest.version == f"{bundle.manifest.version}.sentiment"


def test_the_manifest_says_what_it_is_composed_of(composed: Path, finbert: Path, tiny_bundle: Bundle) -> None:
    manifest = Bundle.load(composed).manifest
    made = manifest.made["composed"]
    assert manifest.format == 2
    assert manifest.version.startswith(f"{tiny_bundle.manifest.version}+finbert-fp32-")
    assert (made["of"], made["model"]) == (tiny_bundle.manifest.version, "FinBERT")
    assert made["classes"] == {"negative": "negative", "neutral": "neutral", "positive": "positive"}
    assert str(finbert) not in (composed / "bundle.json").read_text(encoding="utf-8")
    # Of how good the sentiments are nothing is known; of the topics, what was known of the bundle.
    assert manifest.metrics.keys() == {"things.holdout/topic"}
    assert manifest.reference is not None
    assert "sentiments" not in manifest.reference.counts
    assert "topics" in manifest.reference.counts
    # What it understands was asked of both together, and differs from what the bundle alone did.
    assert manifest.checklist
    assert manifest.checklist != tiny_bundle.manifest.checklist
    assert (composed / "MODEL_CARD.md").read_text(encoding="utf-8").startswith(f"# {manifest.version}")


@pytest.mark.parametrize("name", [*FILES, *(f"sentiment/{name}" for name in FILES)])
def test_every_byte_of_both_models_is_verified(composed: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(composed, tmp_path / "bundle"))
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: damaged"):
        Bundle.load(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: cannot be read"):
        Bundle.load(folder)


def test_another_second_model_is_another_version(composed: Path, tiny_bundle: Bundle, tmp_path: Path) -> None:
    other = published("bert", tmp_path / "FinBERT", hidden_act="relu")
    again = compose(tiny_bundle, HubHead(other, "sentiment", {}), Origin(other, "FinBERT"), tmp_path / "bundle")
    assert again.manifest.version[:-8] == Bundle.load(composed).manifest.version[:-8]
    assert again.manifest.version != Bundle.load(composed).manifest.version


def test_every_command_that_takes_a_bundle_takes_it(
    composed: Path, tiny_bundle: Bundle, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    version = Bundle.load(composed).manifest.version
    monkeypatch.setenv("FINSENTRY_MODEL__BUNDLE", str(composed))
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS), encoding="utf-8")
    for arguments in (
        ["classify", str(texts)],
        ["bundles", "verify", str(composed)],
        ["bundles", "list", str(composed)],
        ["bundles", "show", str(composed)],
        ["explain", TEXTS[0], "--json"],
        ["evaluate", str(composed), "--data", str(tiny_data), "--recipe", str(tiny_data / "recipe.toml")],
    ):
        assert cli.run(arguments) == 0, arguments
        assert version in capsys.readouterr().out, arguments
    assert cli.run(["bundles", "diff", str(tiny_bundle.folder), str(composed)]) == 0
    assert "heads.sentiment.precision: nothing -> fp32" in capsys.readouterr().out
    assert read_bundle(composed, None, "en").version == version
    with Classifier.load(ModelSettings(bundle=composed)) as classifier:
        assert explain(classifier, TEXTS[0]).model == version


def test_with_data_it_is_calibrated_measured_and_quantised(
    finbert: Path, tiny_bundle: Bundle, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "--hub", str(finbert), "--beside", str(tiny_bundle.folder), "--data", str(tiny_data),
                 "--recipe", str(tiny_data / "recipe.toml"), "--out", str(tmp_path / "bundle"), "--json"]  # fmt: skip
    assert cli.run([*arguments, "--allow-loss"]) == 0
    manifest = Bundle.load(tmp_path / "bundle").manifest
    assert json.loads(capsys.readouterr().out)["version"] == manifest.version
    assert manifest.heads["sentiment"].precision == "int8"
    assert manifest.metrics.keys() == {"things.holdout/topic", "moods.holdout/sentiment"}
    assert manifest.metrics.keys() == manifest.made["float32"].keys()
    assert manifest.temperatures.sentiment != 1
    assert manifest.temperatures.topic == tiny_bundle.manifest.temperatures.topic
    assert manifest.reference is not None
    assert "sentiments" in manifest.reference.counts


def test_what_the_base_says_of_its_own_head_stays_and_a_set_that_is_gone_goes(
    finbert: Path, tiny_bundle: Bundle, tiny_data: Path, tiny_splits: Splits, tmp_path: Path
) -> None:
    lost = {"things.holdout/topic": Loss(value=0.02, low=0.01, high=0.03), "gone/topic": Loss(value=0.1, low=0, high=0)}
    old = tiny_bundle.manifest
    in_float32 = msgspec.to_builtins(old.metrics["things.holdout/topic"]) | {"macro_f1": 0.1234}
    made = old.made | {"float32": {"things.holdout/topic": in_float32, "gone/topic": in_float32}}
    gone = {"gone/topic": old.metrics["things.holdout/topic"]}
    far = {name: msgspec.structs.replace(scores, texts=7) for name, scores in (old.metrics | gone).items()}
    said = msgspec.structs.replace(old, lost=lost, without_near_duplicates=far, made=made, metrics=old.metrics | gone)
    base = Bundle(tiny_bundle.folder, said)
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        folder, head = tmp_path / precision, HubHead(finbert, "sentiment", {})
        origin = Origin(finbert, "a/b")
        manifest = compose(base, head, origin, folder, precision, tiny_splits, allow_loss=True).manifest
        assert manifest.lost is not None
        assert manifest.lost["things.holdout/topic"] == lost["things.holdout/topic"]
        assert "gone/topic" not in manifest.lost
        assert manifest.without_near_duplicates == {"things.holdout/topic": far["things.holdout/topic"]}
        assert manifest.made["float32"]["things.holdout/topic"]["macro_f1"] == 0.1234
        assert ("moods.holdout/sentiment" in manifest.made["float32"]) == (precision == "int8")
        assert 0 < manifest.made["parity"]["a/b's fp32"] < TOLERANCE
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
        assert "What trained a/b, which answers for the sentiment, is not known here" in card
        assert "training never saw" not in card


def test_what_the_base_lost_already_does_not_stand_in_its_way(
    finbert: Path, tiny_bundle: Bundle, tiny_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody accepted it; asked is what the published model loses."""
    before = {"things.holdout/topic": Loss(value=0.02, low=0.01, high=0.03)}
    base = Bundle(tiny_bundle.folder, msgspec.structs.replace(tiny_bundle.manifest, lost=before))
    head, origin = HubHead(finbert, "sentiment", {}), Origin(finbert, "a/b")
    new: dict[str, Loss] = {}
    monkeypatch.setattr("model.export.measure.losses", lambda *_: new)
    assert compose(base, head, origin, tmp_path / "bundle", "int8", tiny_splits).manifest.lost == before
    new["moods.holdout/sentiment"] = Loss(value=0.03, low=0.02, high=0.04)
    with pytest.raises(ExportError, match=r": moods\.holdout/sentiment by 3\.0 \(2\.0 to 4\.0\)\n"):
        compose(base, head, origin, tmp_path / "bundle", "int8", tiny_splits)
    allowed = compose(base, head, origin, tmp_path / "bundle", "int8", tiny_splits, allow_loss=True)
    assert allowed.manifest.lost == before | new


def test_int8_without_data_is_refused(finbert: Path, tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"int8 without held-out texts .*\n.*--precision fp32"):
        compose(
            tiny_bundle, HubHead(finbert, "sentiment", {}), Origin(finbert, "a/b"), tmp_path / "bundle", "int8", None
        )
    assert not (tmp_path / "bundle").exists()


def test_a_model_of_another_kind_is_quantised_too(tiny_bundle: Bundle, tiny_splits: Splits, tmp_path: Path) -> None:
    model = published("distilbert", tmp_path / "model")
    head, origin = HubHead(model, "sentiment", {}), Origin(model, "a/b")
    bundle = compose(tiny_bundle, head, origin, tmp_path / "bundle", "int8", tiny_splits, allow_loss=True)
    assert bundle.manifest.heads["sentiment"].precision == "int8"
    graph = onnx.load(bundle.folder / "sentiment" / "model.onnx").graph
    products = [node.op_type for node in graph.node if node.op_type in ("MatMulIntegerToFloat", "MatMul")]
    assert "MatMulIntegerToFloat" in products


def test_what_is_composed_is_not_composed_again(composed: Path, finbert: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is composed itself"):
        compose(Bundle.load(composed), HubHead(finbert, "sentiment", {}), Origin(finbert, "a/b"), tmp_path / "b")


def test_a_release_over_it_leaves_nothing_of_it(
    composed: Path, tiny_run: Path, tiny_splits: Splits, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(composed, tmp_path / "bundle"))
    release([tiny_run], tiny_splits, folder, "fp32")
    assert {path.name for path in folder.iterdir()} == {*FILES, "bundle.json", "MODEL_CARD.md"}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_export_that_differs_is_refused(finbert: Path, tmp_path: Path) -> None:
    head = HubHead(finbert, "sentiment", {})
    with pytest.raises(ExportError, match="differs from the model by"):
        head.export(tmp_path / "model.onnx", tolerance=-1.0)
    head.export(tmp_path / "model.onnx")
    with torch.no_grad():
        head.model.classifier.bias += 0.01
    assert head.largest_difference(tmp_path / "model.onnx") > TOLERANCE


def test_classes_without_names_are_named_by_hand() -> None:
    theirs = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    given = {"LABEL_0": "positive", "label_1": "negative", "LABEL_2": "neutral"}
    assert label_order(theirs, "sentiment", given) == [1, 2, 0]
    assert label_order({0: "Neutral", 1: "POSITIVE", 2: "negative"}, "sentiment", {}) == [2, 0, 1]


def test_classes_that_are_called_as_ours_need_not_be_named_beside_one_that_is_not() -> None:
    assert label_order({0: "Neutral", 1: "bullish", 2: "negative"}, "sentiment", {"bullish": "positive"}) == [2, 0, 1]
    turned = {"NEGATIVE": "positive", "positive": "negative"}
    assert label_order(dict(enumerate(CLASSES)), "sentiment", turned) == [0, 2, 1]


@pytest.mark.parametrize(
    ("theirs", "given", "said"),
    [
        (("a", "b", "c"), {}, r"no class 'negative', but a, b, c\n.*--labels THEIRS=OURS"),
        (("negative", "positive"), {}, r"no class 'neutral', but negative, positive"),
        (CLASSES, {"positive": "good"}, r"'good' is not a sentiment\n.*'negative', 'neutral', 'positive'"),
        (CLASSES, {"positive": "negative"}, r"no class of the model .* is 'positive'"),
        (("a", "b"), {"a": "negative", "b": "positive"}, r"no class of the model \(a, b\) is 'neutral'"),
        (CLASSES, {"positive": "positive", "neutral": "positive"}, r"two classes are called 'positive'"),
        (("a", "b", "c", "d"), {"a": "negative", "b": "neutral", "c": "positive"}, r"has 4 classes .* 3 are named"),
        (("a", "b", "c"), {"a": "negative", "A": "neutral", "c": "positive"}, r"has 3 classes .* 2 are named"),
    ],
)
def test_classes_that_are_not_ours_are_named(theirs: tuple[str, ...], given: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=f"--labels: .*{said}"):
        label_order(dict(enumerate(theirs)), "sentiment", given)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"problem_type": "multi_label_classification"}, "no classifier into one of several classes"),
        ({"id2label": {0: "score"}, "label2id": {"score": 0}}, "no classifier into one of several classes"),
    ],
)
def test_a_model_whose_classes_do_not_exclude_each_other_is_refused(
    more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        HubHead(published("bert", tmp_path, **more), "sentiment", {})


def test_a_damaged_model_is_named(finbert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finbert, tmp_path / "model"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="model: the model cannot be loaded"):
        HubHead(folder, "sentiment", {})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "x"], "give either runs or --hub"),
        (["run", "--hub", "a/b", "--out", "x"], "give either runs or --hub"),
        (["run", "--out", "x"], "give --data"),
        (["--hub", ".", "--revision", "main", "--out", "x"], "--revision is of a model on the hub, and . is a folder"),
        (["--hub", ".", "--labels", "a", "--out", "x"], "'a' is not of the form THEIRS=OURS"),
    ],
)
def test_what_does_not_go_together_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", *arguments]) == 2
    assert said in capsys.readouterr().err
