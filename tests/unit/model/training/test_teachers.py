"""Runs that teach another one."""

import logging
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from deploy import cli
from model.data.recipe import Encoder, Recipe
from model.data.splits import Splits, load_splits
from model.errors import InputError
from model.runtime import Logits
from model.training.network import WEIGHTS_FILE, TwoHeads
from model.training.run import read_run
from model.training.step import IGNORED, Row, Step, distance_to
from model.training.teachers import Teachers
from model.training.train import log_asked, train
from model.training.trained import TrainedNetwork
from tests.unit.model.training.test_resuming import assert_same_weights, changed, ctrl_c
from tests.unit.model.training.test_soup import said_otherwise


def test_the_distance_is_least_at_the_teachers_own_answers() -> None:
    topics, sentiments = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.25, 0.25]])
    least = distance_to((topics, sentiments), (topics.log(), sentiments.log()))
    entropy = -sum((p * p.log()).sum() for p in (topics, sentiments)) / 2
    assert float(least) == pytest.approx(float(entropy), abs=1e-6)
    assert distance_to((topics, sentiments), (topics.log().flip(1), sentiments.log())) > least


def test_a_head_without_a_label_learns_from_the_answer(tiny_run: Path, tiny_recipe: Recipe) -> None:
    network = TwoHeads.load(tiny_run).train()
    before = network.sentiment.weight.detach().clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    row = Row([2, 5, 3], topic=1, sentiment=IGNORED)
    Step(network, optimiser, tiny_recipe.training)([row])
    assert torch.equal(before, network.sentiment.weight)
    answers = (np.full(20, 0.05), np.array([1.0, 0.0, 0.0]))
    Step(network, optimiser, tiny_recipe.training)([Row([2, 5, 3], topic=1, sentiment=IGNORED, answers=answers)])
    assert not torch.equal(before, network.sentiment.weight)


def test_a_pupil_begins_where_its_teachers_are_and_says_who_they_were(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    slow = tiny_recipe.training.distillation.model_copy(update={"learning_rate": 1e-12})
    recipe = tiny_recipe.model_copy(
        update={"seed": 7, "training": tiny_recipe.training.model_copy(update={"distillation": slow})}
    )
    done = train(recipe, tiny_splits, tmp_path / "pupil", teachers=[tiny_run])
    teacher, pupil = load_file(tiny_run / WEIGHTS_FILE), load_file(tmp_path / "pupil" / WEIGHTS_FILE)
    for name, weights in teacher.items():
        np.testing.assert_allclose(pupil[name], weights, atol=1e-6)
    assert done.taught is not None
    assert done.taught.weight == slow.weight
    assert [one["seed"] for one in done.taught.by] == [tiny_recipe.seed]
    assert len(done.losses) == slow.epochs
    assert done.taught.begins_at_mean
    grandchild = train(recipe, tiny_splits, tmp_path / "grandchild", teachers=[tmp_path / "pupil"])
    assert grandchild.taught is not None
    (pupil_said,) = grandchild.taught.by
    assert pupil_said["taught"]["by"][0]["seed"] == tiny_recipe.seed  # type: ignore[index]


def test_teachers_whose_answers_count_for_nothing_are_not_asked(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    teacher = Path(shutil.copytree(tiny_run, tmp_path / "teacher", ignore=shutil.ignore_patterns("answers-*")))
    numbers = tiny_recipe.training.distillation.model_copy(update={"weight": 0.0})
    done = train(changed(tiny_recipe, distillation=numbers), tiny_splits, tmp_path / "pupil", teachers=[teacher])
    assert done.taught is not None
    assert done.taught.begins_at_mean
    assert not list(teacher.glob("answers-*"))


def test_a_teacher_of_another_encoder_gives_its_answers_alone(
    tiny_run: Path, tiny_encoder: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    """It may differ in its name and numbers too: they say nothing of what it has seen."""
    other = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    recipe = tiny_recipe.model_copy(update={"name": "small", "encoder": Encoder(folder=other)})
    once = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 1})})
    alone = train(once, tiny_splits, tmp_path / "alone")
    taught = train(once, tiny_splits, tmp_path / "taught", teachers=[tiny_run])
    assert taught.taught is not None
    assert not taught.taught.begins_at_mean
    assert len(taught.losses) == 1, "as many epochs as one that nobody teaches"
    assert alone.losses != taught.losses
    both = train(once, tiny_splits, tmp_path / "both", teachers=[tiny_run, tmp_path / "taught"])
    assert both.taught is not None
    assert both.taught.begins_at_mean, "one of them has its encoder"


def test_what_a_teacher_answered_is_asked_once(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = Path(shutil.copytree(tiny_run, tmp_path / "teacher", ignore=shutil.ignore_patterns("answers-*")))
    texts = [example.text for example in tiny_splits.train[:5]]
    teachers = Teachers([teacher], tiny_recipe, tiny_splits)
    first = teachers.answers(texts, torch.device("cpu"))
    with monkeypatch.context() as patch:
        patch.setattr(TrainedNetwork, "logits", None)
        again = teachers.answers(texts[::-1], torch.device("cpu"))
        assert teachers.answers(texts[3:], torch.device("cpu")).keys() == set(texts[3:])
        with pytest.raises(TypeError):
            teachers.answers([*texts, "another"], torch.device("cpu"))
    assert first.keys() == again.keys() == set(texts)
    asked: list[str] = []
    ask = TrainedNetwork.logits

    def noted(
        network: TrainedNetwork, some: Sequence[str], watch: Callable[[int, int], object]
    ) -> tuple[Logits, Logits]:
        asked.extend(some)
        return ask(network, some, watch)

    with monkeypatch.context() as patch:
        patch.setattr(TrainedNetwork, "logits", noted)
        more = teachers.answers(["another", *texts], torch.device("cpu"))
        assert teachers.answers(["another"], torch.device("cpu")).keys() == {"another"}
    assert asked == ["another"]
    for text, heads in first.items():
        for before, after, then in zip(heads, again[text], more[text], strict=True):
            assert np.array_equal(before, after)
            assert np.array_equal(before, then)
    # Nor are those of other weights.
    weights = load_file(teacher / WEIGHTS_FILE)
    save_file({name: weight * 0 for name, weight in weights.items()}, teacher / WEIGHTS_FILE)
    assert np.allclose(teachers.answers(texts, torch.device("cpu"))[texts[0]][0], 1 / 20)


def test_a_teacher_of_another_division_may_know_what_is_measured_on(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    strange = Path(shutil.copytree(tiny_run, tmp_path / "strange"))
    said_otherwise(strange, lambda said: said["recipe"]["training"].update(calibration=0.25))
    with pytest.raises(InputError, match=r"divided in another way: training\.calibration: 0\.25 -> "):
        train(tiny_recipe, tiny_splits, tmp_path / "pupil", teachers=[strange])
    said_otherwise(strange, lambda said: said["data"].clear())
    with pytest.raises(InputError, match="other data"):
        train(tiny_recipe, tiny_splits, tmp_path / "pupil", teachers=[strange])


def test_a_teacher_of_other_rows_of_the_same_files_is_refused(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    """Another version keeps other rows of the same files."""
    strange = Path(shutil.copytree(tiny_run, tmp_path / "strange"))
    said_otherwise(strange, lambda said: said.update(rows="0" * 16))
    with pytest.raises(
        InputError, match=r"strange: was trained on other rows of the same files.*\n.*Train the teacher"
    ):
        Teachers([tiny_run, strange], tiny_recipe, tiny_splits)
    said_otherwise(strange, lambda said: said.pop("rows"))
    said_otherwise(strange, lambda said: said["recipe"].update(seed=2))
    Teachers([tiny_run, strange], tiny_recipe, tiny_splits)


def test_how_much_a_source_counts_decides_nothing_of_what_is_measured_on(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits
) -> None:
    def with_first(**changed: object) -> Recipe:
        first, *others = tiny_recipe.sources
        return tiny_recipe.model_copy(update={"sources": (first.model_copy(update=changed), *others)})

    Teachers([tiny_run], with_first(weight=3.0), tiny_splits)
    with pytest.raises(InputError, match=r"divided in another way: sources\..*repeat"):
        Teachers([tiny_run], with_first(repeat=7), tiny_splits)


def test_a_pupil_may_have_sources_more_of_which_nothing_is_held_out(
    tiny_run: Path, tiny_recipe: Recipe, tiny_data: Path, tmp_path: Path
) -> None:
    """What a teacher has not seen it may teach beside, as long as nothing is measured on that it may have seen."""
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))

    def with_more(rows: str, **changes: object) -> tuple[Recipe, Splits]:
        (data / "more.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
        moods = tiny_recipe.sources[1]
        more = moods.model_copy(update={"name": "more", "train": Path("more.csv"), "holdout": 0.0} | changes)
        recipe = tiny_recipe.model_copy(update={"sources": (*tiny_recipe.sources, more)})
        return recipe, load_splits(recipe, data)

    new = "".join(
        f"senate number {index} {mood}\n" for index in range(9) for mood in ("soars,soars", "tumbles,tumbles")
    )
    recipe, splits = with_more(new)
    done = train(recipe, splits, tmp_path / "pupil", teachers=[tiny_run])
    assert done.trained_on > len(load_splits(tiny_recipe, data).train)
    with pytest.raises(InputError, match="other data"):
        Teachers([tiny_run], *with_more(new, holdout=0.3))
    _, splits = with_more("senate,soars\noil,tumbles\n")
    text = next(example.text for example in splits.train if example.source == "moods")
    label = next(example.label for example in splits.train if example.text == text)
    other = {"tumbles": 0, "soars": 2}
    opposite = next(name for name, index in other.items() if index != label)
    with pytest.raises(InputError, match="other rows of the same files"):
        Teachers([tiny_run], *with_more(f"senate,soars\noil,tumbles\n{text},{opposite}\n"))


@pytest.fixture
def second_run(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path) -> Path:
    """The same training as `tiny_run`, but for its seed."""
    train(tiny_recipe.model_copy(update={"seed": tiny_recipe.seed + 1}), tiny_splits, tmp_path / "second")
    return tmp_path / "second"


def test_a_training_is_not_resumed_with_other_teachers(
    tiny_run: Path, second_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    twice = tiny_recipe.training.distillation.model_copy(update={"epochs": 2})
    recipe = tiny_recipe.model_copy(
        update={"training": tiny_recipe.training.model_copy(update={"distillation": twice})}
    )
    pupil, teachers = tmp_path / "pupil", [tiny_run, second_run]
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tiny_splits, pupil, teachers=teachers, watch=ctrl_c(epoch=2))
    with pytest.raises(InputError, match=r"another training: taught\.by\.0\.seed: "):
        train(recipe, tiny_splits, pupil, teachers=teachers[::-1], resume=True)
    assert len(train(recipe, tiny_splits, pupil, teachers=teachers, resume=True).losses) == 2


def test_two_runs_of_one_recipe_are_two_teachers_where_others_taught_them(
    tiny_run: Path, second_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the same training as an earlier one"):
        Teachers([tiny_run, Path(shutil.copytree(tiny_run, tmp_path / "copy"))], tiny_recipe, tiny_splits)
    taught = Path(shutil.copytree(tiny_run, tmp_path / "taught"))
    said_otherwise(taught, lambda said: said.update(taught={"weight": 0.5, "by": [{"name": "other"}]}))
    assert len(Teachers([tiny_run, taught], tiny_recipe, tiny_splits).taught.by) == 2


def with_weights_moved(run: Path, to: Path) -> Path:
    """A copy of `run` that no mean with another is mistaken for."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns("answers-*"))
    weights = load_file(to / WEIGHTS_FILE)
    save_file({name: weight + 0.01 for name, weight in weights.items()}, to / WEIGHTS_FILE)
    return to


def test_a_pupil_of_fewer_layers_begins_at_the_first_of_its_teacher_s(
    tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    def with_layers(layers: int | None, recipe: Recipe = tiny_recipe) -> Recipe:
        return recipe.model_copy(update={"encoder": recipe.encoder.model_copy(update={"layers": layers})})

    train(with_layers(2), tiny_splits, tmp_path / "teacher")
    slow = tiny_recipe.training.distillation.model_copy(update={"learning_rate": 1e-12})
    still = tiny_recipe.model_copy(update={"training": tiny_recipe.training.model_copy(update={"distillation": slow})})
    done = train(with_layers(1, still), tiny_splits, tmp_path / "pupil", teachers=[tmp_path / "teacher"])
    assert done.taught is not None
    assert done.taught.begins_at_mean
    teacher, pupil = load_file(tmp_path / "teacher" / WEIGHTS_FILE), load_file(tmp_path / "pupil" / WEIGHTS_FILE)
    assert {name for name in teacher if ".layer.1." in name} == teacher.keys() - pupil.keys()
    for name, weights in pupil.items():
        np.testing.assert_allclose(teacher[name], weights, atol=1e-6)
    both = train(
        with_layers(1, still).model_copy(update={"seed": 9}),
        tiny_splits,
        tmp_path / "second",
        teachers=[tmp_path / "teacher", moved := with_weights_moved(tmp_path / "pupil", tmp_path / "moved")],
    )
    assert both.taught is not None
    assert len(both.taught.by) == 2
    begun_at, second = load_file(moved / WEIGHTS_FILE), load_file(tmp_path / "second" / WEIGHTS_FILE)
    for name, weights in second.items():
        np.testing.assert_allclose(begun_at[name], weights, atol=1e-6)  # the one as deep as it, and no other
    deeper = Teachers([tmp_path / "pupil"], with_layers(2), tiny_splits)
    assert not deeper.taught.begins_at_mean, "a teacher has no layers to give that it has not"


@pytest.mark.parametrize(("pinned", "alike"), [(None, True), ("main", True), ("a" * 40, True), ("b" * 40, False)])
def test_a_teacher_of_another_commit_of_the_hub_is_of_another_encoder(
    tiny_run: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path, pinned: str | None, *, alike: bool
) -> None:
    teacher = Path(shutil.copytree(tiny_run, tmp_path / "teacher"))
    hub = {"folder": None, "hub": "owner/model", "revision": "a" * 40}
    said_otherwise(teacher, lambda said: said["recipe"]["encoder"].update(hub))
    ours = tiny_recipe.model_copy(update={"encoder": Encoder(hub="owner/model", revision=pinned)})
    assert Teachers([teacher], ours, tiny_splits).taught.begins_at_mean == alike


def test_an_encoder_is_the_same_however_its_folder_is_spelt(
    tiny_run: Path, tiny_encoder: Path, tiny_recipe: Recipe, tiny_splits: Splits
) -> None:
    spelt = tiny_recipe.model_copy(update={"encoder": Encoder(folder=tiny_encoder / ".." / tiny_encoder.name)})
    assert Teachers([tiny_run], spelt, tiny_splits).taught.begins_at_mean


def test_the_command_takes_teachers(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--out", str(tmp_path / "pupil")]
    assert cli.run([*arguments, "--seed", "3", "--epochs", "2", "--teacher", str(tiny_run)]) == 0
    done = read_run(tmp_path / "pupil")
    assert done.taught is not None
    assert len(done.losses) == 2, "the epochs asked for are the pupil's"


@pytest.fixture
def unasked(tiny_run: Path, tmp_path: Path) -> Path:
    """A teacher of whom no answers are kept."""
    return Path(shutil.copytree(tiny_run, tmp_path / "large", ignore=shutil.ignore_patterns("answers-*")))


def test_it_is_told_how_far_a_teacher_is(
    unasked: Path, tiny_recipe: Recipe, tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.training.trained.BATCH_TOKENS", 64)
    texts, told = [example.text for example in tiny_splits.train], list[tuple[Path, int, int]]()
    teachers = Teachers([unasked], tiny_recipe, tiny_splits, lambda *how_far: told.append(how_far))
    teachers.answers(texts, torch.device("cpu"))
    batches = len(told)
    assert batches > 1
    assert told == [(unasked, batch, batches) for batch in range(1, batches + 1)]
    teachers.answers(texts, torch.device("cpu"))
    assert len(told) == batches, "what is kept is not asked again"


def test_a_pupil_learns_the_same_whether_its_teacher_was_asked_before(
    unasked: Path, tiny_recipe: Recipe, tiny_splits: Splits, tmp_path: Path
) -> None:
    short = tiny_recipe.training.distillation.model_copy(update={"epochs": 1})
    once = changed(tiny_recipe, distillation=short)
    for name in ("asks", "finds"):
        train(once, tiny_splits, tmp_path / name, teachers=[unasked])
    assert_same_weights(tmp_path / "asks", tmp_path / "finds")


def test_a_log_line_comes_every_twenty_batches(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for batch in range(1, 51):
            log_asked(Path("large"), batch, 50)
    assert [line.rpartition("run=")[2] for line in caplog.messages] == ["large batch=20 of=50", "large batch=40 of=50"]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_terminal_shows_a_bar_for_each_teacher_and_one_of_steps(
    unasked: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    *,
    on_terminal: bool,
) -> None:
    monkeypatch.setattr("model.training.trained.BATCH_TOKENS", 16)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_terminal)
    arguments = ["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--out", str(tmp_path / "pupil")]
    with caplog.at_level(logging.INFO, logger="model.training"):
        assert cli.run([*arguments, "--seed", "3", "--epochs", "1", "--teacher", str(unasked)]) == 0
    shown = capsys.readouterr().err
    bars = re.findall(r"(asking teacher large|training) +\S* *(?:[ \d]*%|\d+/\d+)", shown)
    assert list(dict.fromkeys(bars)) == (["asking teacher large", "training"] if on_terminal else [])
    assert ("asking a teacher run=" in caplog.text and " batch=20 " in caplog.text) != on_terminal
    if on_terminal:
        assert shown.count("100%") == 1
        last = shown.splitlines()[-1].split("\r")[-1]
        assert re.search(r"training .* (\d+)/\1 .*epoch 1/1, loss ", last)
