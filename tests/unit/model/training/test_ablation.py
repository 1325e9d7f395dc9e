"""The table of what each part of a recipe is worth, on the tiny training."""

from collections import Counter
from pathlib import Path

import pytest

from model.data.examples import Example
from model.data.recipe import Lora, Recipe
from model.data.splits import Splits
from tests.benchmarks.ablation import WHOLE, main, some, table, variants
from tests.unit.model.training.test_resuming import changed


def test_each_thing_that_a_recipe_has_is_left_out_once(tiny_recipe: Recipe, tiny_splits: Splits) -> None:
    things, moods = tiny_recipe.sources
    sources = (things.model_copy(update={"own": True, "repeat": 2}), moods.model_copy(update={"weight": 0.5}))
    recipe = changed(tiny_recipe, adversarial=0.5, lora=Lora()).model_copy(update={"sources": sources})
    train = [*tiny_splits.train, *(one for one in tiny_splits.train if one.source == "things")]
    found = {one.name: one for one in variants(recipe, train)}
    assert list(found) == [
        WHOLE,
        "without adversarial steps",
        "every weight in place of adapters",
        "without sources' weights",
        "without repeats",
        "without our own texts",
        "without things",
        "without moods",
    ]
    assert found["without adversarial steps"].recipe.training == recipe.training.model_copy(update={"adversarial": 0.0})
    assert found["without repeats"].train == tiny_splits.train
    assert {one.source for one in found["without our own texts"].train} == {"moods"}
    assert {source.weight for source in found["without sources' weights"].recipe.sources} == {1.0}


def test_what_a_recipe_does_not_have_is_not_left_out(tiny_recipe: Recipe) -> None:
    rows = [Example("oil", "topic", 1, "things"), Example("oil", "sentiment", 1, "moods")]
    names = [one.name for one in variants(tiny_recipe, rows)]
    assert names == [WHOLE, "with adversarial steps", "without things", "without moods"]


def test_all_are_taught_but_the_one_without_teachers(tiny_recipe: Recipe) -> None:
    *taught, begun, alone = variants(tiny_recipe, [Example("oil", "topic", 1, "things")], (Path("large"),))
    assert {one.teachers for one in (*taught, begun)} == {(Path("large"),)}
    assert begun.name == "without teachers' answers"
    assert begun.recipe == changed(
        tiny_recipe, distillation=tiny_recipe.training.distillation.model_copy(update={"weight": 0.0})
    )
    assert alone.name == "without teachers"
    assert alone.teachers == ()
    assert alone.recipe == tiny_recipe


def test_the_table_gives_differences_to_the_whole_recipe() -> None:
    found = {WHOLE: [{"a": 80.0, "b": 60.0}, {"a": 82.0, "b": 62.0}], "without x": [{"a": 79.0, "b": 62.0}] * 2}
    assert table(found) == [
        "| | a | b | mean |",
        "|---|---|---|---|",
        "| the whole recipe | 81.0 ± 1.4 | 61.0 ± 1.4 | 71.0 ± 1.4 |",
        "| without x | -2.0 ± 0.0 | +1.0 ± 0.0 | -0.5 ± 0.0 |",
    ]


def test_the_script_trains_and_prints_it(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [str(tiny_data / "recipe.toml"), "--data", str(tiny_data)]
    main([*where, "--epochs", "4", "--rows", "120", "--held-out", "20", "--only", "moods"])
    said, _, head, _, whole, without = capsys.readouterr().out.splitlines()
    assert said.startswith("tiny, 4 epochs, 120 rows")
    assert head == "| | things.holdout/topic | moods.holdout/sentiment | mean |"
    assert whole.startswith(f"| {WHOLE} | ")
    # What was not trained on moods does not know them.
    assert float(without.split("|")[3]) < -20


def test_fewer_rows_are_of_all_sources_alike_whatever_their_repeats() -> None:
    rows = [
        Example(f"{source} {number}", "topic", number % 2, source)
        for source, repeat in (("large", 1), ("small", 3))
        for number in range(1000)
        for _ in range(repeat)
    ]
    kept = some(rows, 400, "test")
    assert len(kept) == 400
    assert kept == sorted(kept, key=rows.index)
    assert Counter(row.source for row in kept)["small"] == pytest.approx(300, abs=40)
