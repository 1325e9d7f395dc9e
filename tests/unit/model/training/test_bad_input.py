"""What people get wrong, and how the commands answer: exit code 2, a line with file and row, a line what to do."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.cli import run
from model.bundle import Bundle, digest_of
from model.training.run import read_run, recipe_of


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """A data folder that a test may spoil."""
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


@pytest.fixture
def bundle(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))


def evaluating(data: Path, bundle: Path) -> list[str]:
    return ["evaluate", str(bundle), "--data", str(data), "--recipe", str(data / "recipe.toml")]


def replace(path: Path, old: str, new: str) -> None:
    path.write_text(re.sub(old, new, path.read_text(encoding="utf-8")), encoding="utf-8")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says on standard error as it ends with exit code 2."""
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 2, "one line what, one what to do"
    return said


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing set": (lambda data: (data / "moods.csv").unlink(), "moods.csv: no such file"),
    "an empty set": (lambda data: (data / "moods.csv").write_bytes(b""), "moods.csv: is empty, without even a header"),
    "a set in another encoding": (
        lambda data: (data / "moods.csv").write_bytes(b"text,label\nna\xefve,soars\n"),
        "moods.csv: line 2: byte 0xEF is not UTF-8",
    ),
    "an unknown label": (
        lambda data: replace(data / "moods.csv", ",soars", ",flies"),
        "moods.csv: row 5 (line 6): label 'flies' is not in the recipe",
    ),
    "a missing column": (
        lambda data: replace(data / "moods.csv", "text,label", "text,mood"),
        "moods.csv: no column 'label', only text, mood",
    ),
    "one class only": (
        lambda data: replace(data / "moods.csv", ",(soars|tumbles)\n", ",holds\n"),
        "moods.csv: source 'moods': all 29 rows among the 25% held out are 'neutral'",
    ),
    "a label of no head": (
        lambda data: replace(data / "recipe.toml", '"negative"', '"gloomy"'),
        "recipe.toml: source 'moods': labels: 'gloomy' is not a sentiment; there are negative, neutral, positive",
    ),
    "a comma without quotes": (
        lambda data: replace(data / "moods.csv", ",soars", ", they say,soars"),
        "moods.csv: row 5 (line 6): 3 cells instead of 2; quote commas",
    ),
    "an open quote": (
        lambda data: replace(data / "moods.csv", r"\Z", '"the end,soars\n'),
        "moods.csv: a quote is not closed, starting at line 122",
    ),
    "a pattern that is none": (
        lambda data: replace(data / "recipe.toml", r"\Z", "label_pattern = '(up'\n"),
        "recipe.toml: source 'moods': label_pattern = '(up': not a regular expression: missing )",
    ),
    "two sources of one name": (
        lambda data: replace(data / "recipe.toml", 'name = "moods"', 'name = "things"'),
        "recipe.toml: sources: 'things' is the name of two, number 1 and number 2",
    ),
    "no recipe": (lambda data: (data / "recipe.toml").unlink(), "recipe.toml: cannot be read: No such file"),
}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_spoilt_data_is_named(
    command: str, spoil: str, data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = SPOILT[spoil]
    change(data)
    training = ["train", str(data / "recipe.toml"), "--data", str(data), "--out", str(tmp_path / "run")]
    assert f"{data}/{said}" in refused(training if command == "train" else evaluating(data, bundle), capsys)
    assert not (tmp_path / "run").exists()


def test_only_a_training_needs_an_encoder(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(data / "recipe.toml", r"\[encoder\]\n[^\[]*", "")
    (data / "moods.csv").write_bytes(b"")  # nothing of the data is read before it is said
    assert f"{data}/recipe.toml: has no [encoder]\n  Name one" in refused(training_on(data, tmp_path / "run"), capsys)
    alone = 'name = "mine"\n[[sources]]\nname = "mine"\nhead = "sentiment"\nevaluation = "mine.jsonl"\n'
    (data / "recipe.toml").write_text(f'{alone}text = "text"\nlabel = "label"\n', encoding="utf-8")
    moods = ("negative", "neutral", "positive")
    lines = [json.dumps({"text": f"stocks {mood} {number}", "label": mood}) for number in range(20) for mood in moods]
    (data / "mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run([*evaluating(data, bundle), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["sets"]) == ["mine.validation/sentiment"]


@pytest.fixture
def leaking(data: Path) -> Path:
    """A data folder whose moods are measured on a file of which seven rows train too."""
    rows = (data / "moods.csv").read_text(encoding="utf-8").splitlines()
    (data / "held.csv").write_text("\n".join([rows[0], *rows[2:9], "unseen,holds"]), encoding="utf-8")
    replace(data / "recipe.toml", 'train = "moods.csv"\nholdout = 0.25', 'train = "moods.csv"\nevaluation = "held.csv"')
    return data


def training_on(data: Path, run: Path) -> list[str]:
    return ["train", str(data / "recipe.toml"), "--data", str(data), "--out", str(run), "--epochs", "1"]


def test_data_that_leaks_into_evaluation_is_refused_by_its_rows(
    leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(training_on(leaking, tmp_path / "run"), capsys)
    first = ", ".join(f"row {row} (line {row + 1})" for row in range(2, 7))
    assert (
        f"{leaking}/moods.csv: 7 rows of 'moods', which trains, also in 'moods.validation': {first} and 2 more" in said
    )
    assert 'Remove them from what trains, or say `leaks = "drop"` at the top of the recipe.' in said
    assert not (tmp_path / "run").exists()
    header, *rows = (tmp_path / "run.leaks.csv").read_text().splitlines()
    assert header == "file,row,line,trains_in,measured_in"
    assert rows == [f"{leaking}/moods.csv,{row},{row + 1},moods,moods.validation" for row in range(2, 9)]


def test_leaks_that_the_recipe_drops_stand_in_the_run_which_can_be_exported(
    leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(leaking / "recipe.toml", r"\A", 'leaks = "drop"')
    replace(leaking / "moods.csv", r"\Z", "a repeat,holds\nA repeat!,holds\nat odds,holds\nAt odds!,soars\n")
    trained = tmp_path / "run"
    assert run([*training_on(leaking, trained), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    kept = json.loads((trained / "run.json").read_bytes())
    assert done["leaks"] == kept["leaks"]
    assert [(leak["source"], leak["evaluation"], leak["rows"]) for leak in kept["leaks"]] == [
        ("moods", "moods.validation", 7)
    ]
    assert kept["leaks"][0]["file"] == str(leaking / "moods.csv")
    assert kept["leaks"][0]["first"].startswith("row 2 (line 3), ")
    assert done["repeats"] == kept["repeats"] == {"moods": 1}
    assert done["disputed"] == kept["disputed"] == {"moods": 1}
    assert "leaks" not in kept["recipe"]
    out = ["--data", str(leaking), "--out", str(tmp_path / "bundle"), "--precision", "fp32"]
    assert run(["export", str(trained), *out]) == 0


def test_a_run_of_before_leaks_were_kept_is_read(tiny_run: Path, tmp_path: Path) -> None:
    older = json.loads((tiny_run / "run.json").read_bytes())
    del older["leaks"], older["repeats"], older["disputed"], older["rows"]
    (tmp_path / "run.json").write_text(json.dumps(older), encoding="utf-8")
    assert (read_run(tmp_path).leaks, read_run(tmp_path).rows, recipe_of(tmp_path).leaks) == ([], None, "drop")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_cut_bundle_is_named(name: str, data: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundle / name
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    assert f"{path}: {size // 2} bytes instead of {size}" in refused(evaluating(data, bundle), capsys)


def test_a_bundle_of_other_labels_is_not_compared(
    data: Path, tiny_bundle: Bundle, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    manifest["topics"][3] = "Weather"
    manifest["digest"] = digest_of(manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    arguments = [*evaluating(data, tiny_bundle.folder), "--against", str(bundle)]
    assert "bundle.json: `topics`: label 3 is 'Weather', not 'Treasuries" in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("run.json", lambda path: path.unlink(), "run.json: no training run"),
        ("run.json", lambda path: path.write_text("{}"), "run.json: no training run"),
        ("run.json", lambda path: replace(path, '"epochs"', '"rounds"'), "run.json: training.rounds is no key"),
        ("model.safetensors", lambda path: path.write_bytes(path.read_bytes()[:900]), "model.safetensors: cannot be"),
        ("tokenizer.json", lambda path: path.write_bytes(path.read_bytes()[:90]), "tokenizer.json: not a tokenizer: "),
        ("tokenizer.json", lambda path: path.unlink(), "tokenizer.json: not a tokenizer: No such file"),
    ],
)
def test_a_damaged_run_is_not_exported(
    name: str,
    change: Callable[[Path], object],
    said: str,
    data: Path,
    tiny_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    change(damaged / name)
    arguments = ["export", str(damaged), "--data", str(data), "--out", str(tmp_path / "out")]
    assert f"{damaged}/{said}" in refused(arguments, capsys)


def test_other_data_than_the_run_s_is_refused(
    data: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(data / "moods.csv", "today", "tonight")
    arguments = ["export", str(tiny_run), "--data", str(data), "--out", str(tmp_path / "out")]
    assert "was trained on other data" in refused(arguments, capsys)
