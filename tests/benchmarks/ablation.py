"""What each part of a recipe is worth: `python -m tests.benchmarks.ablation RECIPE --data FOLDER`.

Trains the recipe, then again with one thing left out at a time, and with adversarial steps where it has none, and
prints a Markdown table of macro-F1 on the held-out sets, which are the same for all: the whole recipe's in points, the
others' as differences to it. With several seeds they are means, beside the standard deviation over seeds. A difference
within about twice that says nothing.

`--teacher RUN RUN` makes runs part of the whole recipe, as in `finsentry train`. It takes a training for each line and
seed: `--epochs`, `--rows` and `--held-out` bound it, `--only` picks.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from model.data.examples import Example
from model.data.recipe import CONFIGS, Recipe, read_recipe
from model.data.splits import Splits, load_splits, share_of
from model.evaluation.evaluate import evaluate
from model.training.network import TwoHeads
from model.training.tokenizer_file import open_tokenizer
from model.training.train import train
from model.training.trained import TrainedNetwork
from tests.benchmarks.side_by_side import machine

WHOLE = "the whole recipe"

ADVERSARIAL_STEP = 0.5
"""Size of the steps that a recipe without any is tried with."""

Scores = dict[str, float]
"""Macro-F1 in points, by `set/head`."""


class Variant(NamedTuple):
    """A recipe and what trains it, with one thing another way."""

    name: str
    recipe: Recipe
    train: list[Example]
    teachers: tuple[Path, ...] = ()


def variants(recipe: Recipe, train: list[Example], teachers: tuple[Path, ...] = ()) -> Iterator[Variant]:
    """The whole recipe, then each thing that it has and could do without, or could have."""
    for variant in _variants(recipe, train):
        yield variant._replace(teachers=teachers)
    if teachers:
        labels_alone = recipe.training.distillation.model_copy(update={"weight": 0.0})
        yield Variant("without teachers' answers", _with(recipe, distillation=labels_alone), train, teachers)
        yield Variant("without teachers", recipe, train)


def _variants(recipe: Recipe, train: list[Example]) -> Iterator[Variant]:
    yield Variant(WHOLE, recipe, train)
    training = recipe.training
    if training.adversarial:
        yield Variant("without adversarial steps", _with(recipe, adversarial=0.0), train)
    else:
        yield Variant("with adversarial steps", _with(recipe, adversarial=ADVERSARIAL_STEP), train)
    if training.lora is not None:
        yield Variant("every weight in place of adapters", _with(recipe, lora=None), train)
    if any(source.weight != 1 for source in recipe.sources):
        alike = tuple(source.model_copy(update={"weight": 1.0}) for source in recipe.sources)
        yield Variant("without sources' weights", recipe.model_copy(update={"sources": alike}), train)
    if any(source.repeat != 1 for source in recipe.sources):
        yield Variant("without repeats", recipe, list(dict.fromkeys(train)))
    if own := {source.name for source in recipe.sources if source.own}:
        yield Variant("without our own texts", recipe, [one for one in train if one.source not in own])
    for source in recipe.sources:
        rest = [one for one in train if one.source != source.name]
        if 0 < len(rest) < len(train):
            yield Variant(f"without {source.name}", recipe, rest)


def table(found: dict[str, list[Scores]]) -> list[str]:
    """A Markdown table of what each variant scored, a list entry a seed; the first variant is the whole recipe."""
    sets = list(next(iter(found.values()))[0])
    lines = [f"| | {' | '.join(sets)} | mean |", f"|---|{'---|' * (len(sets) + 1)}"]
    whole = _means(next(iter(found.values())), sets)
    for name, runs in found.items():
        values = _means(runs, sets)
        spreads = [stdev(column) if len(runs) > 1 else None for column in _columns(runs, sets)]
        if name == WHOLE:
            cells = [f"{value:.1f}{_spread(s)}" for value, s in zip(values, spreads, strict=True)]
        else:
            cells = [f"{v - w:+.1f}{_spread(s)}" for v, w, s in zip(values, whole, spreads, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _columns(runs: Sequence[Scores], sets: Sequence[str]) -> list[list[float]]:
    """By set, and of their mean at last, a value a seed."""
    return [*([run[name] for run in runs] for name in sets), [mean(run.values()) for run in runs]]


def _means(runs: Sequence[Scores], sets: Sequence[str]) -> list[float]:
    return [mean(column) for column in _columns(runs, sets)]


def _spread(value: float | None) -> str:
    return "" if value is None else f" ± {value:.1f}"


def _with(recipe: Recipe, **training: object) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update=training)})


def some(rows: list[Example], most: int | None, purpose: str) -> list[Example]:
    """At most so many of the rows, always the same ones and of all sources alike, in their order."""
    if most is None or len(rows) <= most:
        return rows
    by_share = sorted(range(len(rows)), key=lambda index: (share_of(rows[index].key, purpose), index))
    return [rows[index] for index in sorted(by_share[:most])]


def _score(variant: Variant, splits: Splits, seed: int) -> Scores:
    recipe = variant.recipe.changed(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(recipe, replace(splits, train=variant.train), run, teachers=variant.teachers)
        network = TrainedNetwork(TwoHeads.load(run), open_tokenizer(run, recipe.training.maximum_length))
        return {name: 100 * found.scores.macro_f1 for name, found in evaluate(network, splits.evaluation).items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ablation", description=__doc__)
    parser.add_argument("recipe", type=Path, nargs="?", default=CONFIGS / "minilm.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder that the recipe's paths start from")
    parser.add_argument("--encoder", type=Path, help="folder of the encoder, in place of the recipe's")
    parser.add_argument("--teacher", type=Path, nargs="+", default=[], help="runs that the recipe learns from")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--rows", type=int, help="train on so many rows at most")
    parser.add_argument("--held-out", type=int, help="measure on so many rows of each set at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", help="variants whose names contain one of these, and the whole recipe")
    options = parser.parse_args(arguments)
    recipe = read_recipe(options.recipe).changed(encoder=options.encoder, epochs=options.epochs)
    splits = load_splits(recipe, options.data)
    sets = {name: some(rows, options.held_out, "ablation") for name, rows in splits.evaluation.items()}
    splits = replace(splits, evaluation=sets)
    chosen = [
        variant
        for variant in variants(recipe, some(splits.train, options.rows, "ablation"), tuple(options.teacher))
        if variant.name == WHOLE or not options.only or any(part in variant.name for part in options.only)
    ]
    found: dict[str, list[Scores]] = {}
    for number, variant in enumerate(chosen, 1):
        print(f"{number}/{len(chosen)}: {variant.name}, {len(variant.train)} rows", file=sys.stderr)
        found[variant.name] = [_score(variant, splits, seed) for seed in options.seeds]
    said = f"{recipe.name}, {recipe.training.epochs} epochs, {len(chosen[0].train):,} rows, {len(options.seeds)} seeds"
    print(f"{said}; {machine()}\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
