"""The sweep finds what is faster, claims nothing that is noise and keeps its time; the command writes what it found."""

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Self

import pytest
from click.testing import CliRunner

from deploy import cli
from deploy.commands.doctor import doctor
from deploy.tuning import verdict
from model.bundle import Bundle
from model.placement import Placement
from model.runtime import Session, largest_shape
from model.sample_texts import sample_texts
from model.tuning import Trial, Tuning, median_interval, trials, tune

PRESENT = Placement("cpu", 2, 256, ())
TEXTS = ["a text"] * 500
Cost = Callable[[Trial, float], float]
"""Seconds a text takes in a trial at a time."""


class Machine:
    """A clock that goes on by what the work costs."""

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self.now = 0.0
        self.open = 0

    def clock(self) -> float:
        return self.now


class Simulated:
    def __init__(self, machine: Machine, placement: Placement) -> None:
        self.placement = placement
        self._machine = machine
        machine.open += 1

    def placed(self, placement: Placement) -> Self:
        return type(self)(self._machine, placement)

    def classify(self, texts: Sequence[str]) -> Sequence[object]:
        machine = self._machine
        trial = Trial(self.placement.threads, self.placement.batch_tokens)
        machine.now += len(texts) * machine.cost(trial, machine.now)
        return texts

    def close(self) -> None:
        self._machine.open -= 1


def measured(cost: Cost, seconds: float = 60.0) -> tuple[Tuning, Machine]:
    machine = Machine(cost)
    classifier = Simulated(machine, PRESENT)
    tuning = tune(classifier, TEXTS, cores=2, seconds=seconds, clock=machine.clock)
    assert machine.open == 1  # the caller's own
    return tuning, machine


def noisy(seed: int, base: Cost, share: float) -> Cost:
    random = Random(seed)
    return lambda trial, now: base(trial, now) * (1 + random.uniform(0, share))


def test_what_is_faster_is_found_through_noise() -> None:
    fast = Trial(2, 128)
    tuning, _ = measured(noisy(0, lambda trial, _: 0.0015 if trial == fast else 0.002, 0.2))
    assert tuning.best == fast
    assert tuning.worth_it
    assert "2 threads with 128 tokens a batch beats the present settings" in verdict(tuning)


def test_noise_is_not_claimed() -> None:
    claims = [measured(noisy(seed, lambda *_: 0.002, 0.5))[0] for seed in range(40)]
    assert sum(tuning.worth_it for tuning in claims) <= 2  # one in forty, by a one-sided 97.5 %
    unsure = next(one for one in claims if one.ratios and not one.worth_it)
    assert verdict(unsure).startswith("Keep the present settings")


def test_a_machine_that_slows_down_favours_nobody() -> None:
    tuning, _ = measured(noisy(1, lambda _, now: 0.001 * (1 + now / 20), 0.05))
    assert not tuning.worth_it


def test_a_gain_too_small_to_care_is_left() -> None:
    tuning, _ = measured(noisy(2, lambda trial, _: 0.00199 if trial == Trial(2, 512) else 0.002, 0.001))
    assert tuning.best == Trial(2, 512)
    assert not tuning.worth_it


@pytest.mark.parametrize("cost", [0.0005, 0.002, 0.008])
def test_it_keeps_its_time(cost: float) -> None:
    tuning, machine = measured(lambda *_: cost)
    assert 30 <= machine.now <= 75
    assert all(len(rates.rounds) >= 3 for rates in tuning.sweep)


def test_the_present_settings_are_among_the_trials() -> None:
    odd = Placement("cpu", 3, 300, ())
    assert trials(odd, 8)[0] == Trial(3, 300)
    assert {trial.threads for trial in trials(odd, 8)} == {3, 4, 8}
    assert len(trials(PRESENT, 2)) == len(set(trials(PRESENT, 2))) == 10
    assert min(trial.batch_tokens for trial in trials(Placement("cuda", 2, 16_384, (96,)), 8)) == 4096


@pytest.mark.parametrize("present", [2000, 16_384, 65_536, 100_000])
def test_no_trial_leaves_the_shapes_that_an_engine_was_built_for(present: int) -> None:
    placement = Placement("tensorrt", 2, present, (16, 24, 32, 48, 64, 96))
    rows, longest = largest_shape(placement)
    tried = trials(placement, 8)
    assert tried[0] == Trial(2, present)
    for trial in tried:
        for length in placement.lengths:
            assert max(trial.batch_tokens // length, 2) <= rows
            assert length <= longest
        Session(None, placement).placed(placement._replace(threads=trial.threads, batch_tokens=trial.batch_tokens))
    with pytest.raises(ValueError, match="engine is built"):
        Session(None, placement).placed(placement._replace(batch_tokens=2 * present))
    # CUDA has no engine, and tries all.
    assert max(trial.batch_tokens for trial in trials(placement._replace(provider="cuda"), 8)) >= 65_536


@pytest.mark.parametrize(
    ("count", "expected"), [(5, (float("-inf"), float("inf"))), (6, (1, 6)), (9, (2, 8)), (20, (6, 15))]
)
def test_an_interval_needs_six_values(count: int, expected: tuple[float, float]) -> None:
    assert median_interval(range(1, count + 1)) == expected


def test_sample_texts_are_as_long_as_headlines_and_posts() -> None:
    words = sorted(len(text.split()) for text in sample_texts(2000))
    assert 12 <= words[1000] <= 16
    assert words[100] <= 8
    assert 25 <= words[1900] <= 40
    assert sample_texts(5) == sample_texts(5)


SETTINGS = """# what we run
[model]
bundle = "{bundle}"  # ours
threads = 7

[stream]
lateness_minutes = 5
"""


@pytest.fixture
def settings_file(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    file = tmp_path / "finsentry.toml"
    file.write_text(SETTINGS.format(bundle=tiny_bundle.folder), encoding="utf-8")
    return file


def test_the_command_measures_draws_and_writes_what_it_found(
    settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, picture = tmp_path / "texts.txt", tmp_path / "tuning.png"
    texts.write_bytes(b"oil soars today\n\xff\nsenate holds again\n")
    monkeypatch.setattr(Tuning, "worth_it", True)
    monkeypatch.setenv("FINSENTRY_SETTINGS", str(settings_file))
    command = ["doctor", "--tune", "--texts", str(texts), "--seconds", "1", "--plot", str(picture), "--write", "--json"]

    assert cli.run(command) == 0

    said = capsys.readouterr()
    assert "1 rows without a text are left out; the first:" in said.err
    found = json.loads(said.out)
    assert found["present"] == {"threads": 7, "batch_tokens": 256}
    assert all(len(trial["texts_per_second"]) >= 3 for trial in found["trials"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    written = settings_file.read_text(encoding="utf-8")
    assert found["written"] == str(settings_file)
    assert {key: tomllib.loads(written)["model"][key] for key in found["best"]} == found["best"]
    assert "batch_tokens" in written  # was not set before
    assert "# what we run" in written


def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    found = CliRunner().invoke(doctor, ["--tune", "--plot", str(tmp_path / "tuning.jpg")])
    assert found.exit_code == 2
    assert "is none of .png, .svg, .pdf" in found.output


def test_nothing_is_written_for_noise(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = settings_file.read_bytes()
    monkeypatch.setattr(Tuning, "worth_it", False)
    assert cli.run(["doctor", "--tune", "--seconds", "1", "--write", "--settings", str(settings_file)]) == 0
    assert "present" in capsys.readouterr().out
    assert settings_file.read_bytes() == before


@pytest.mark.parametrize("option", [["--write"], ["--plot", "x.png"], ["--texts", "x.txt"]])
def test_what_goes_with_tune_says_so(option: list[str]) -> None:
    found = CliRunner().invoke(doctor, option)
    assert found.exit_code == 2
    assert "go with --tune" in found.output


def test_a_file_without_texts_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\n", encoding="utf-8")
    assert cli.run(["doctor", "--tune", "--texts", str(file)]) == 2
    assert "texts.csv: holds no text" in capsys.readouterr().err
