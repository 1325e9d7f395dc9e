"""The model card."""

import msgspec
import pytest

from model.bundle import DEFAULT_BUNDLE, MANIFEST_FILE, ByTopic, HeadModel, Loss, Passed, Scores, read_manifest
from model.evaluation.card import model_card


def scores(accuracy: float, macro_f1: float, calibration_error: float = 0.02) -> Scores:
    return Scores(texts=2000, accuracy=accuracy, macro_f1=macro_f1, calibration_error=calibration_error)


DEFAULT = read_manifest(DEFAULT_BUNDLE / MANIFEST_FILE)


def test_a_spread_is_the_mean_and_deviation_of_the_trainings() -> None:
    manifest = msgspec.structs.replace(
        DEFAULT,
        metrics={"news/topic": scores(0.9, 0.8)},
        lost=None,
        trainings=({"news/topic": scores(0.88, 0.70, 0.02)}, {"news/topic": scores(0.90, 0.74, 0.03)}),
    )
    assert "| `news/topic` | 0.890 ± 0.014 | 0.720 ± 0.028 | 0.025 ± 0.007 |" in model_card(manifest).splitlines()


def test_a_set_that_knows_some_classes_is_marked_and_no_other() -> None:
    bulls = msgspec.structs.replace(scores(0.711, 0.706), among=("negative", "positive"), served=0.672)
    metrics = {"bulls/sentiment": bulls, "news/sentiment": scores(0.9, 0.8)}
    card = model_card(msgspec.structs.replace(DEFAULT, metrics=metrics, lost=None))
    line = "knows negative and positive alone and is measured among those; with every class allowed accuracy is 0.672."
    assert f"`bulls/sentiment` {line}" in card.splitlines()
    assert card.count("every class allowed") == 1


def test_scores_of_a_manifest_from_before_that_was_kept_are_read_and_written_alike() -> None:
    old = {"texts": 9, "accuracy": 0.9, "macro_f1": 0.8, "calibration_error": 0.1}
    assert msgspec.to_builtins(msgspec.convert(old, Scores)) == old


def test_one_training_has_no_spread() -> None:
    card = model_card(msgspec.structs.replace(DEFAULT, trainings=({"news/topic": scores(0.88, 0.70)},)))
    assert "How much hangs on the seed" not in card


def test_checks_show_what_passed_and_the_worst_stands_where_it_fails() -> None:
    checks = {"negation": Passed(cases=20, passed=5), "companies": Passed(cases=10, passed=10)}
    lines = model_card(msgspec.structs.replace(DEFAULT, checklist=checks)).splitlines()
    assert "| negation | 5 of 20 | 25 % |" in lines
    assert "- negation: 15 of 20 cases fail" in lines
    assert not any(line.startswith("- companies") for line in lines)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"checks_that_nearly_train": []}, "none of their texts stands, or nearly stands, in what trains."),
        (
            {"checks_that_nearly_train": ["A beats", "C"]},
            "2 of their texts stand, or nearly stand, in what trains, and prove nothing: 'A beats'; 'C'.",
        ),
        ({"checks_that_train": []}, "whether their texts stand, or nearly stand, in what trains is not known."),
    ],
)
def test_cases_that_trained_prove_nothing(made: dict[str, list[str]], said: str) -> None:
    card = model_card(msgspec.structs.replace(DEFAULT, made=DEFAULT.made | {"checks_that_nearly_train": None} | made))
    assert f"(Ribeiro et al. 2020); {said}" in card


def test_every_set_of_the_shipped_bundle_is_in_its_card() -> None:
    card = model_card(DEFAULT)
    for name, found in DEFAULT.metrics.items():
        assert f"| `{name}` | {found.texts:,} | {found.accuracy:.3f} | {found.macro_f1:.3f} |" in card


def test_each_set_that_int8_loses_on_is_listed_with_its_interval() -> None:
    lossy = msgspec.structs.replace(
        DEFAULT, metrics={"news/topic": scores(0.9, 0.8)}, lost={"news/topic": Loss(value=0.012, low=-0.004, high=0.03)}
    )
    assert "| `news/topic` | 2,000 | 1.2 | -0.4 to 3.0 |" in model_card(lossy).splitlines()
    assert "No set loses more than half a point" in model_card(msgspec.structs.replace(lossy, lost={}))
    assert "lost against float32" not in model_card(msgspec.structs.replace(lossy, lost=None)), "nobody looked"


def test_of_what_was_not_measured_nothing_is_said_to_be_kept() -> None:
    one = msgspec.structs.replace(DEFAULT, metrics={"news/topic": scores(0.9, 0.8)}, lost={})
    unknown = "No held-out text has a sentiment: what is lost there was not measured."
    assert unknown in model_card(one).splitlines()
    assert "No set loses" in model_card(one)
    assert unknown not in model_card(DEFAULT)
    none = model_card(msgspec.structs.replace(one, metrics={}))
    assert unknown in none
    assert unknown.replace("sentiment", "topic") in none
    assert "No set loses" not in none
    second = {"sentiment": HeadModel(precision="fp32", maximum_length=96)}
    assert unknown not in model_card(msgspec.structs.replace(one, heads=second)), "it is in float32"


def test_how_good_it_is_on_texts_unlike_those_that_trained_stands_in_the_card() -> None:
    far = {"news/topic": msgspec.structs.replace(scores(0.85, 0.75), texts=1900)}
    manifest = msgspec.structs.replace(
        DEFAULT,
        metrics={"news/topic": scores(0.9, 0.8)},
        without_near_duplicates=far,
        made=DEFAULT.made | {"near_duplicates_share": 0.8},
        lost=None,
    )
    card = model_card(manifest)
    assert "| `news/topic` | 1,900 of 2,000 | 0.850 | 0.750 |" in card.splitlines()
    assert "have 80% of their words in common" in card
    assert "nearly saw" not in model_card(msgspec.structs.replace(manifest, without_near_duplicates={}))


def test_what_is_called_negative_stands_beside_what_is_topic_by_topic() -> None:
    posts = ByTopic(labelled=3, classes=("negative", "positive"), confusions={"Politics": [[2, 18], [0, 80]]})
    news = ByTopic(
        labelled=0,
        classes=("negative", "neutral", "positive"),
        confusions={
            "Politics": [[5, 5, 0], [0, 90, 0], [0, 0, 0]],
            "Fed | Central Banks": [[0, 0, 0], [1, 8, 0], [0, 0, 0]],
        },
    )
    lines = model_card(msgspec.structs.replace(DEFAULT, by_topic={"a": posts, "b": news})).splitlines()
    # 7 of 30 negative ones among 200 texts, and none besides: a share of 15 %, and 3.5 % called so.
    assert "| Politics | 200 | 15% | 4% | -11.5 ± 4.5 | 23% | 7 / 5 / 18 | 0 / 90 / 0 | 0 / 0 / 80 |" in lines
    assert r"| Fed \| Central Banks | 9 | 0% | 11% | +11.1 ± 24.6 |  | 0 / 0 / 0 | 1 / 8 / 0 | 0 / 0 / 0 |" in lines
    assert any("All 209 held-out texts" in line and "a label for 3 of them" in line for line in lines)


def test_how_far_the_onnx_is_from_the_network_stands_in_the_card() -> None:
    made = {**DEFAULT.made, "parity": {"fp32": 1.234e-6}}
    lines = model_card(msgspec.structs.replace(DEFAULT, made=made)).splitlines()
    assert "Largest difference of a logit between the trained network and its ONNX: 1.2e-06 in fp32." in lines


@pytest.mark.parametrize("begins_at_mean", [True, False])
def test_the_card_says_who_taught(begins_at_mean: bool) -> None:
    taught = {"weight": 0.5, "by": ["large, seed 1", "small, seed 2"], "begins_at_mean": begins_at_mean}
    card = model_card(msgspec.structs.replace(DEFAULT, made={**DEFAULT.made, "taught": taught}))
    assert "Taught by other trainings (large, seed 1; small, seed 2)" in card
    assert ("begun at the mean of those with this encoder" in card) == begins_at_mean
    assert ("begun at the pretrained encoder" in card) != begins_at_mean
    assert "Its encoder is bge-small-en-v1.5, its first 6 layers, 22,500 of its word pieces" in card


@pytest.mark.parametrize(
    ("digest", "said"), [(None, "pieces."), ("0123456789abcdef", "pieces (pretrained weights `0123456789abcdef`).")]
)
def test_the_card_says_which_weights_it_began_at_where_that_is_known(digest: str | None, said: str) -> None:
    card = model_card(msgspec.structs.replace(DEFAULT, made={**DEFAULT.made, "encoder": digest}))
    (line,) = (line for line in card.splitlines() if line.startswith("Its encoder is"))
    assert line.endswith(said)


def test_texts_of_our_own_are_no_proof_of_others() -> None:
    sources = [{"name": "ours", "own": True}, {"name": "theirs", "own": False}, {"name": "theirs_too"}]
    names = ("ours.holdout/topic", "theirs.holdout/topic", "theirs_too.validation/sentiment")
    manifest = msgspec.structs.replace(
        DEFAULT, metrics={name: scores(0.9, 0.8) for name in names}, lost=None, made={"recipe": {"sources": sources}}
    )
    (line,) = [line for line in model_card(manifest).splitlines() if "written for this recipe" in line]
    assert line.startswith("The texts of `ours.holdout/topic` were written for this recipe")
    others = msgspec.structs.replace(manifest, made={"recipe": {"sources": sources[1:]}})
    assert "written for this recipe" not in model_card(others)


def test_where_it_fails_is_more_than_its_lowest_scores() -> None:
    posts = ByTopic(
        labelled=0,
        classes=("negative", "neutral", "positive"),
        confusions={
            "Politics": [[20, 80, 0], [0, 100, 0], [0, 0, 0]],
            "Macro": [[99, 1, 0], [0, 100, 0], [0, 0, 0]],
            "IPO": [[10, 0, 0], [90, 100, 0], [0, 0, 0]],
        },
    )
    manifest = msgspec.structs.replace(
        DEFAULT,
        metrics={
            "sure/topic": scores(0.9, 0.8, 0.031),
            "right/topic": scores(0.9, 0.8, 0.03),
            "small/topic": msgspec.structs.replace(scores(0.9, 0.8, 0.1), texts=100),
        },
        by_topic={"posts": posts},
        lost={"sure/topic": Loss(value=0.012, low=-0.004, high=0.03)},
    )
    _, fails = model_card(manifest).split("## Where it fails\n\n")
    assert "- Politics: 10% are called negative, and 50% are; it finds 20% of them" in fails.splitlines()
    assert "Macro" not in fails, "within the interval"
    assert "IPO" not in fails, "too much is called negative, and nothing hidden"
    assert "- `sure/topic`: its probabilities are off by 0.0310" in fails.splitlines()
    assert "`right/topic`: its" not in fails
    assert "`small/topic`: its" not in fails, "of so few it is as much by chance"
    assert "- `sure/topic`: int8 loses 1.2 points of macro-F1" in fails.splitlines()


def test_a_bundle_that_was_never_measured_still_has_a_card() -> None:
    bare = msgspec.structs.replace(DEFAULT, metrics={}, data={}, made={}, checklist={}, trainings=(), lost=None)
    assert model_card(bare).startswith(f"# {DEFAULT.version}\n")
