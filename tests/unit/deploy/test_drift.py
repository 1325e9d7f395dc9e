"""`finsentry drift`, run: how far a file's texts are from what each bundle was made for."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy import cli
from model import classifier
from model.bundle import DEFAULT_BUNDLE, Bundle, write_manifest
from model.drift import Profile, Reference
from model.sample_texts import sample_texts

FEATURES = {"topics", "sentiments", "confidence", "lengths", "unknown"}


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "ENOUGH_TEXTS", 200)


def lines_of(tmp_path: Path, texts: list[str]) -> str:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    return str(file)


def found(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("few_are_enough")
def test_the_command_says_how_far_texts_are_from_what_the_bundle_was_made_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lines_of(tmp_path, sample_texts(250))
    assert cli.run(["drift", file, "--json"]) == 0
    (one,) = found(capsys)["bundles"]
    assert (one["language"], one["texts"]) == ("", 250)
    assert one["model"] == Bundle.load(DEFAULT_BUNDLE).manifest.version
    assert one["stability_index"].keys() == FEATURES
    assert all(distance >= 0 for distance in one["stability_index"].values())

    assert cli.run(["drift", file]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in shown} == FEATURES
    distances = [float(line.split()[1]) for line in shown]
    assert distances == sorted(distances, reverse=True)


def test_fewer_texts_than_tell_anything_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["drift", lines_of(tmp_path, sample_texts(20))]) == 2
    said = capsys.readouterr().err
    assert "20 texts are too few to tell" in said
    assert "give 1,000 or more" in said


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize(
    ("texts", "counts", "why", "fix"),
    [
        (75, {}, "was made for 75 texts, which are too few to tell", "give training.calibration more rows, train and"),
        (900, {"topics": [900]}, "says nothing of its texts that is counted now", "export the bundle again"),
    ],
)
def test_where_more_texts_would_not_help_they_are_not_asked_for(
    texts: int,
    counts: dict[str, list[int]],
    why: str,
    fix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = Path(shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle"))
    manifest = Bundle.load(bundle).manifest
    write_manifest(bundle, msgspec.structs.replace(manifest, reference=Reference(texts=texts, counts=counts)))
    monkeypatch.setenv("FINSENTRY_MODEL__BUNDLE", str(bundle))
    assert cli.run(["drift", lines_of(tmp_path, sample_texts(250))]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert fix in said
    assert "or more" not in said


@pytest.mark.usefixtures("few_are_enough")
def test_each_language_is_compared_with_its_own_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINSENTRY_MODEL__LANGUAGES__ZH", str(DEFAULT_BUNDLE))
    chinese = [f"银行股价大跌，{number}家公司亏损" for number in range(210)]
    file = lines_of(tmp_path, [f"{text} and the market today" for text in sample_texts(220)] + chinese)
    assert cli.run(["drift", file, "--json"]) == 0
    english, other = found(capsys)["bundles"]
    assert (english["language"], english["texts"]) == ("", 220)
    assert (other["language"], other["texts"]) == ("zh", 210)
    # Each is what its own texts alone would be: the words of the one do not hide those of the other.
    assert other["stability_index"]["topics"] > english["stability_index"]["topics"]

    assert cli.run(["drift", file]) == 0
    shown = capsys.readouterr().out
    assert "en and what has no bundle: 220 texts" in shown
    assert "zh: 210 texts" in shown
    assert cli.run(["drift", lines_of(tmp_path, chinese), "--json"]) == 0
    assert found(capsys)["bundles"] == [other]


@pytest.mark.usefixtures("few_are_enough")
def test_a_language_with_few_texts_is_said_beside_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINSENTRY_MODEL__LANGUAGES__ZH", str(DEFAULT_BUNDLE))
    file = lines_of(tmp_path, [f"{text} and the market today" for text in sample_texts(250)] + ["银行股价大跌"])
    assert cli.run(["drift", file]) == 0
    assert "zh: 1 texts" in (shown := capsys.readouterr().out)
    assert "1 texts are too few to tell" in shown


@pytest.mark.usefixtures("few_are_enough")
def test_the_first_texts_of_a_long_file_weigh_as_much_as_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stream forgets: there all counts are halved now and then."""
    monkeypatch.setattr(Profile.__init__, "__kwdefaults__", {"half_at": 200})
    short, long = ["Shares fall"] * 150, ["word " * 40] * 150
    distances = []
    for texts in (short + long, long + short):
        assert cli.run(["drift", lines_of(tmp_path, texts), "--json"]) == 0
        distances.append(found(capsys)["bundles"][0]["stability_index"])
    assert distances[0] == pytest.approx(distances[1])
