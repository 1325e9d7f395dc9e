from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.data import (
    Example,
    LeakError,
    Splits,
    fingerprint,
    load_evaluation,
    load_splits,
    read_source,
    require_no_leaks,
    share_of,
    without_leaks,
    without_repeats,
)
from model.errors import InputError
from model.recipe import CONFIGS, Recipe, Source, read_recipe
from tests.shared import shared

MOODS = {"0": "negative", "1": "positive", "2": "neutral"}


def source(**changes: Any) -> Source:
    fields = {"name": "posts", "head": "sentiment", "train": "posts.csv", "text": "text", "label": "label"}
    return Source.model_validate(fields | {"labels": MOODS} | changes)


def write(path: Path, *rows: tuple[str, object]) -> Path:
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    return path


def sentiment(text: str, label: int = 0) -> Example:
    return Example(text, "sentiment", label)


def recipe(*sources: Source) -> Recipe:
    return Recipe(name="test", encoder={"package": "none"}, sources=sources)


def test_labels_become_ours(tmp_path: Path) -> None:
    path = write(tmp_path / "posts.csv", ("down", 0), ("up", 1), ("flat", 2))
    assert [(e.text, e.label) for e in read_source(source(), path)] == [("down", 0), ("up", 2), ("flat", 1)]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_every_kind_of_file_reads_alike(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"text": ["a, b", "c"], "label": [0, 1]})
    path = tmp_path / f"posts.{suffix}"
    {"csv": lambda: frame.to_csv(path), "parquet": lambda: frame.to_parquet(path), "json": lambda: frame.to_json(path)}[
        suffix
    ]()
    assert [(e.text, e.label) for e in read_source(source(), path)] == [("a, b", 0), ("c", 2)]


def test_a_row_whose_entities_disagree_says_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "posts.csv", ("agree", "{'A': 'negative', 'B's': 'negative'}"), ("not", "{'A': 'up', 'B': 'down'}")
    )
    polar = source(label_pattern=r""": ['"](\w+)['"]""", labels={"negative": "negative"})
    assert [e.text for e in read_source(polar, path)] == ["agree"]


def test_an_unknown_label_names_file_and_row(tmp_path: Path) -> None:
    path = write(tmp_path / "posts.csv", ("fine", 0), ("odd", 7))
    with pytest.raises(InputError, match=r"posts\.csv: row 2: label '7' is not in the recipe"):
        read_source(source(), path)


def test_a_missing_column_names_those_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "posts.csv", ("fine", 0))
    with pytest.raises(InputError, match="no column 'mood', only text, label"):
        read_source(source(label="mood"), path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"posts\.csv: no such file"):
        read_source(source(), tmp_path / "posts.csv")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "posts.xlsx").write_bytes(b"")
    with pytest.raises(InputError, match=r"neither \.csv, \.parquet nor \.json"):
        read_source(source(), tmp_path / "posts.xlsx")


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(b"text,label\nfine,0\nna\xefve,1\n")
    with pytest.raises(InputError, match=r"posts\.csv: line 3: byte 0xEF is not UTF-8"):
        read_source(source(), path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("posts.csv", b""), ("posts.csv", b'text,label\n"no end,0\n'), ("posts.parquet", b"PAR1"), ("posts.json", b"[{")],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        read_source(source(), tmp_path / name)


def test_cells_without_a_value_say_nothing(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": ["a", None, "c"], "label": ["0", "1", None]})
    rows.to_parquet(tmp_path / "posts.parquet")
    assert [e.text for e in read_source(source(), tmp_path / "posts.parquet")] == ["a"]


def test_a_source_s_rows_know_which_classes_it_has(tmp_path: Path) -> None:
    path = write(tmp_path / "posts.csv", ("down", 0), ("up", 1))
    some = source(labels={"0": "negative", "1": "positive"})
    assert {e.classes for e in read_source(some, path)} == {(0, 2)}
    assert {e.classes for e in read_source(source(), path)} == {()}


def test_a_held_out_set_of_one_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", *((f"text {index}", index % 2) for index in range(9)))
    write(tmp_path / "held.csv", ("fell", 0), ("sank", 0))
    alone = source(train="train.csv", evaluation="held.csv")
    for load in (load_splits, load_evaluation):
        with pytest.raises(InputError, match=r"held\.csv: source 'posts': all 2 rows in it are 'negative'"):
            load(recipe(alone), tmp_path)


def test_a_holdout_too_small_to_hold_a_row_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", ("fell", 0), ("rose", 1))
    with pytest.raises(InputError, match=r"posts\.csv: .* there is no row among the 0% held out"):
        load_splits(recipe(source(holdout=1e-9)), tmp_path)


def test_a_head_that_one_class_trains_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", *((f"text {index}", 0) for index in range(9)))
    with pytest.raises(InputError, match=r"posts\.csv: every row that trains the sentiment is 'negative'"):
        load_splits(recipe(source()), tmp_path)


def test_what_is_only_measured_on_needs_no_training_file(tmp_path: Path) -> None:
    write(tmp_path / "held.csv", ("fell", 0), ("rose", 1))
    splits = load_evaluation(recipe(source(train="absent.csv", evaluation="held.csv")), tmp_path)
    assert (splits.train, len(splits.evaluation["posts.validation"])) == ([], 2)


def test_the_held_out_texts_are_those_that_training_leaves_out(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", *((f"text number {index}", index % 3) for index in range(100)))
    ours = recipe(source(holdout=0.25))
    assert load_evaluation(ours, tmp_path).evaluation == load_splits(ours, tmp_path).evaluation


def test_a_recipe_that_holds_nothing_out_has_nothing_to_measure_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds nothing out"):
        load_evaluation(recipe(source()), tmp_path)


def test_case_punctuation_urls_and_space_do_not_hide_a_leak(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", ("Shares FALL!  https://t.co/1", 0), ("Shares rise", 1))
    held = write(tmp_path / "held.csv", ("shares fall https://t.co/2", 0))
    pool = read_source(source(), train)
    kept = without_leaks(pool, {"held": read_source(source(), held)})
    assert [e.text for e in kept] == ["Shares rise"]


def test_a_text_held_out_for_one_head_trains_no_other() -> None:
    assert without_leaks([Example("same", "topic", 3)], {"held": [sentiment("Same")]}) == []


def test_of_repeats_the_first_counts_and_heads_are_apart() -> None:
    pool = [sentiment("a", 0), sentiment("A!", 2), Example("a", "topic", 5)]
    assert without_repeats(pool) == [pool[0], pool[2]]


@pytest.mark.parametrize("side", ["calibration", "evaluation"])
def test_a_leak_is_refused_wherever_it_is(side: str) -> None:
    leak = [sentiment("Seen.")]
    splits = Splits(
        [sentiment("seen")],
        leak if side == "calibration" else [],
        {"posts.held": leak if side == "evaluation" else []},
    )
    with pytest.raises(LeakError, match=r"'Seen\.' also stands in what trains"):
        require_no_leaks(splits)


def test_splits_are_disjoint_and_lose_nothing(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", *((f"text number {index}", index % 3) for index in range(400)))
    splits = load_splits(recipe(source(holdout=0.25)), tmp_path)
    held = splits.evaluation["posts.holdout"]
    assert len(splits.train) + len(splits.calibration) + len(held) == 400
    assert 60 < len(held) < 140
    assert 5 < len(splits.calibration) < 40


def test_a_split_depends_on_the_texts_alone(tmp_path: Path) -> None:
    rows = [(f"text number {index}", index % 3) for index in range(100)]
    write(tmp_path / "posts.csv", *rows)
    one = load_splits(recipe(source(holdout=0.25)), tmp_path)
    write(tmp_path / "posts.csv", *reversed(rows))
    other = load_splits(recipe(source(holdout=0.25)), tmp_path)
    assert {e.key for e in one.train} == {e.key for e in other.train}


def test_a_small_set_may_count_several_times_in_training_only(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", *((f"text number {index}", index % 3) for index in range(100)))
    once = load_splits(recipe(source(holdout=0.25)), tmp_path)
    thrice = load_splits(recipe(source(holdout=0.25, repeat=3)), tmp_path)
    assert len(thrice.train) == 3 * len(once.train)
    assert (thrice.calibration, thrice.evaluation) == (once.calibration, once.evaluation)


def test_shares_are_even_and_differ_by_purpose() -> None:
    shares = [share_of(str(index), "holdout") for index in range(2000)]
    assert 0.47 < sum(shares) / len(shares) < 0.53
    assert share_of("x", "holdout") != share_of("x", "calibration")


def test_a_fingerprint_changes_with_any_text_or_label() -> None:
    prints = {fingerprint([e]).sha256 for e in (sentiment("a", 0), sentiment("a", 1), sentiment("b", 0))}
    assert len(prints) == 3


def test_the_default_recipe_reads_the_labelled_sets_without_leaks() -> None:
    root = shared("data/twitter_topic/train.parquet").parents[1]
    splits = load_splits(read_recipe(CONFIGS / "default.toml"), root)
    assert len(splits.evaluation["twitter_topic.validation"]) == 4117
    assert len(splits.evaluation["twitter_sent.validation"]) == 2388
    assert len(splits.train) > 30_000
    held_out = {e.key for rows in splits.evaluation.values() for e in rows}
    assert not held_out & {e.key for e in splits.train}
