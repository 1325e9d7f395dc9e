"""Bundles side by side, as the command shows them."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from deploy.cli import run
from model.bundle import SHIPPED, Bundle, Loss, Passed, Scores, read_manifest, write_manifest
from model.errors import InputError
from model.evaluation.catalogue import Delta, compare_manifests, find_bundles, main_scores, pick, read_entry
from model.nested import Change


@pytest.fixture
def shelf(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A folder of two bundles: `a`, and `b`, which is `a` with a letter of its tokenizer changed."""
    shutil.copytree(tiny_bundle.folder, tmp_path / "a")
    shutil.copytree(tiny_bundle.folder, tmp_path / "b")
    path = tmp_path / "b" / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(b"tumbles", b"tumblez"))
    return tmp_path


def test_a_folder_is_a_bundle_or_holds_some(shelf: Path) -> None:
    assert find_bundles([shelf]) == [shelf / "a", shelf / "b"]
    assert find_bundles([shelf / "b", shelf]) == [shelf / "b", shelf / "a"]
    assert find_bundles([shelf / "nowhere"]) == [shelf / "nowhere"]  # so that it is reported, not passed over


def test_a_bundle_is_picked_by_version_or_folder(shelf: Path, tiny_bundle: Bundle) -> None:
    entries = [read_entry(shelf / "a")]
    assert pick(tiny_bundle.manifest.version, entries) == pick("a", entries) == entries[0]
    with pytest.raises(InputError, match=f"no bundle c\n.*those found: {tiny_bundle.manifest.version}"):
        pick("c", entries)


def test_the_largest_set_of_a_head_speaks_for_it(tiny_bundle: Bundle) -> None:
    def scores(texts: int) -> Scores:
        return Scores(texts=texts, accuracy=0.9, macro_f1=0.8, calibration_error=0.01)

    metrics = {"a/topic": scores(5), "b/topic": scores(7), "c/sentiment": scores(3)}
    manifest = msgspec.structs.replace(tiny_bundle.manifest, metrics=metrics)
    assert list(main_scores(manifest)) == ["b/topic", "c/sentiment"]


def test_a_comparison_names_what_differs_and_nothing_else(tiny_bundle: Bundle) -> None:
    old = tiny_bundle.manifest
    recipe = {**old.made["recipe"], "seed": 2}
    name = "moods.holdout/sentiment"
    worse = msgspec.structs.replace(old.metrics[name], accuracy=0.5)
    new = msgspec.structs.replace(
        old, made={**old.made, "recipe": recipe}, metrics={name: worse}, maximum_length=8, version="other"
    )
    found = compare_manifests(old, new)
    assert found.recipe == [Change("seed", 1, 2)]
    assert found.other == [Change("maximum_length", 16, 8)]
    assert found.data == []
    assert Delta(f"{name} accuracy", old.metrics[name].accuracy, 0.5) in found.metrics
    assert Delta("things.holdout/topic macro_f1", old.metrics["things.holdout/topic"].macro_f1, None) in found.metrics
    assert compare_manifests(old, old).other == []


def test_a_key_that_an_older_recipe_did_not_have_is_no_difference(tiny_bundle: Bundle) -> None:
    manifest = tiny_bundle.manifest
    recipe = manifest.made["recipe"]
    sources = [{key: value for key, value in source.items() if key != "weight"} for source in recipe["sources"]]
    whole = {key: value for key, value in recipe.items() if key != "language"}
    older = msgspec.structs.replace(manifest, made={**manifest.made, "recipe": {**whole, "sources": sources}})
    assert compare_manifests(older, manifest).recipe == []


def test_the_list_names_versions_scores_and_what_is_broken(
    shelf: Path, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    (shelf / "b" / "bundle.json").write_text("{", encoding="utf-8")
    assert run(["bundles", "list", str(shelf)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(tiny_bundle.manifest.version)
    assert "moods.holdout/sentiment" in first
    assert second.startswith("b ")
    assert "BROKEN" in second


def test_the_data_folder_s_bundles_and_the_shipped_ones_are_found(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_bundle.folder, tmp_path / "bundles" / "a")
    monkeypatch.setenv("FINSENTRY_DATA_FOLDER", str(tmp_path))
    assert run(["bundles", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    shipped = read_manifest(SHIPPED / "default" / "bundle.json").version
    assert [one["version"] for one in found] == [tiny_bundle.manifest.version, shipped]
    assert run(["bundles", "show", tiny_bundle.manifest.version]) == 0
    assert "sources.things.head: topic" in capsys.readouterr().out


def test_verifying_checks_every_byte(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bundles", "verify", str(shelf / "a")]) == 0
    assert run(["bundles", "verify", str(shelf)]) == 1
    shown = capsys.readouterr().out
    assert f"ok      {shelf / 'a'}" in shown
    assert "tokenizer.json: damaged" in shown
    assert run(["bundles", "verify", str(shelf), "--json"]) == 1
    assert [bool(one["problem"]) for one in json.loads(capsys.readouterr().out)] == [False, True]


def test_a_folder_without_a_bundle_is_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("verify", "list"):
        run(["bundles", command, str(tmp_path)])
        shown = capsys.readouterr().out
        assert "there is no bundle in this folder" in shown
        assert "model.bundle" not in shown
        assert run(["bundles", command, str(tmp_path / "nowhere")]) == 2
        assert "nowhere: no such folder" in capsys.readouterr().err
    assert run(["bundles", "verify", str(tmp_path)]) == 1


def test_showing_a_mean_of_trainings_shows_their_spread_its_losses_and_the_checklist(
    shelf: Path, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    def training(accuracy: float, error: float) -> dict[str, Scores]:
        return {"moods.holdout/sentiment": Scores(texts=9, accuracy=accuracy, macro_f1=0.8, calibration_error=error)}

    manifest = msgspec.structs.replace(
        tiny_bundle.manifest,
        trainings=(training(0.88, 0.01), training(0.90, 0.03)),
        checklist={"negation": Passed(cases=20, passed=5)},
        lost={"moods.holdout/sentiment": Loss(value=0.012, low=-0.004, high=0.03)},
    )
    write_manifest(shelf / "a", manifest)
    assert run(["bundles", "show", str(shelf / "a")]) == 0
    shown = capsys.readouterr().out
    assert "mean and standard deviation of 2 trainings\n  moods.holdout/sentiment  accuracy 0.890 ± 0.014" in shown
    assert "macro-F1 0.800 ± 0.000   calibration error 0.020 ± 0.014" in shown
    assert "checklist\n  negation    5 of  20   25%\n" in shown
    assert "moods.holdout/sentiment  1.2 (-0.4 to 3.0)" in shown
    assert run(["bundles", "show", str(shelf / "a"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spread"]["moods.holdout/sentiment"]["calibration_error"] == {"mean": 0.02, "stdev": 0.01414}
    assert found["checklist"] == {"negation": {"cases": 20, "passed": 5}}


def test_two_bundles_are_compared_by_folder(
    shelf: Path, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    other = msgspec.structs.replace(tiny_bundle.manifest, maximum_length=8, version="tiny-int8")
    write_manifest(shelf / "b", other)
    assert run(["bundles", "diff", str(shelf / "a"), str(shelf / "b")]) == 0
    shown = capsys.readouterr().out
    assert "recipe: the same" in shown
    assert "maximum_length: 16 -> 8" in shown
    assert "files.tokenizer.json.sha256: " in shown
    assert run(["bundles", "diff", str(shelf / "a"), str(shelf / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"key": "maximum_length", "old": 16, "new": 8} in found["other"]


def test_showing_a_bundle_that_is_not_there_lists_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bundles", "show", "nowhere"]) == 2
    assert "there is no bundle nowhere" in capsys.readouterr().err
