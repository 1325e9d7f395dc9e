import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.data.examples import Example, fingerprint, read_source
from model.data.leaks import Leak, LeakError
from model.data.recipe import CONFIGS, Recipe, Source, read_recipe
from model.data.splits import (
    Splits,
    digest_of,
    load_evaluation,
    load_splits,
    require_no_leaks,
    share_of,
    without_leaks,
    without_repeats,
)
from model.errors import InputError
from model.labels import TOPICS
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


def recipe(*sources: Source, **changes: Any) -> Recipe:
    return Recipe.model_validate({"name": "test", "encoder": {"package": "none"}, "sources": sources} | changes)


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


def test_a_file_of_lists_has_columns_by_number(tmp_path: Path) -> None:
    path = tmp_path / "posts.json"
    path.write_text('[["跌停了", 0], ["12.8", 1]]', encoding="utf-8")
    found = read_source(source(text="0", label="1"), path)
    assert [(e.text, e.label) for e in found] == [("跌停了", 0), ("12.8", 2)]


def test_chinese_that_differs_in_punctuation_alone_is_the_same_text() -> None:
    assert sentiment("央行降息，股市大涨！").key == sentiment("央行 降息股市大涨").key
    assert sentiment("a, b").key != sentiment("ab").key


def test_texts_without_a_word_are_not_all_one_text() -> None:
    assert sentiment("?!").key != sentiment("$$$").key


def test_the_tags_of_chinese_news_become_topics_where_they_leave_no_doubt(tmp_path: Path) -> None:
    news = next(one for one in read_recipe(CONFIGS / "zh.toml").sources if one.name == "finnl")
    tags = ["中国 大盘", "外国  债券", "外国 大盘 新冠", "中国 公司 债券", "中国", "国际 期货", "政治"]
    path = tmp_path / "news.json"
    path.write_text(json.dumps([[f"新闻{tag}", tag] for tag in tags]), encoding="utf-8")
    found = [(e.text, TOPICS[e.label]) for e in read_source(news, path)]
    assert found == [
        ("新闻中国 大盘", "Markets"),
        ("新闻外国 债券", "Treasuries | Corporate Debt"),
        ("新闻政治", "Politics"),
    ]


def test_a_row_whose_entities_disagree_says_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "posts.csv", ("agree", "{'A': 'negative', 'B's': 'negative'}"), ("not", "{'A': 'up', 'B': 'down'}")
    )
    polar = source(label_pattern=r""": ['"](\w+)['"]""", labels={"negative": "negative"})
    assert [e.text for e in read_source(polar, path)] == ["agree"]


def test_an_unknown_label_names_file_and_row(tmp_path: Path) -> None:
    path = write(tmp_path / "posts.csv", ("fine", 0), ("odd", 7))
    with pytest.raises(InputError, match=r"posts\.csv: row 2 \(line 3\): label '7' is not in the recipe"):
        read_source(source(), path)


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
    with pytest.raises(InputError) as refused:
        load_splits(recipe(source()), tmp_path)
    assert refused.value.message.startswith(
        f"{tmp_path / 'posts.csv'}: every row that trains the sentiment is 'negative'"
    )


@pytest.mark.parametrize("rest", [[("held", 1)], [("odd", 0), ("odd", 1)]], ids=["a leak", "rows at odds"])
def test_rows_that_are_dropped_are_no_second_class(tmp_path: Path, rest: list[tuple[str, object]]) -> None:
    write(tmp_path / "posts.csv", *((f"text {index}", 0) for index in range(9)), *rest)
    write(tmp_path / "held.csv", ("held", 1), ("fell", 0))
    with pytest.raises(InputError, match="every row that trains the sentiment is 'negative'"):
        load_splits(recipe(source(evaluation="held.csv"), leaks="drop"), tmp_path)


def test_repeats_are_counted_by_rows_and_disputes_by_texts(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", ("a", 0), ("b", 1), ("b!", 1), ("B", 1), ("c", 0), ("C", 1), ("c!", 2))
    splits = load_splits(recipe(source()), tmp_path)
    assert (splits.repeats, splits.disputed) == ({"posts": 2}, {"posts": 1})


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


def test_of_repeats_the_first_stands_for_all_and_heads_are_apart() -> None:
    pool = [sentiment("a", 0), sentiment("A!", 0), Example("a", "topic", 5)]
    assert without_repeats(pool) == ([pool[0], pool[2]], [])


def test_a_text_has_the_label_of_most_of_its_rows_and_teaches_nothing_where_they_are_at_odds() -> None:
    pool = [sentiment("a", 2), sentiment("A!", 0), sentiment("b", 1), sentiment("a.", 0), sentiment("B", 2)]
    assert without_repeats(pool) == ([pool[1]], [[pool[2], pool[4]]])


@pytest.fixture
def leaky(tmp_path: Path) -> list[Source]:
    """Two sources: of the first, rows 2 and 4 are measured on by itself, row 4 by the second too; row 6 repeats."""
    write(tmp_path / "posts.csv", ("a", 0), ("b", 1), ("c", 2), ("d", 0), ("e", 1), ("a!", 0))
    write(tmp_path / "held.csv", ("B", 1), ("D", 0))
    write(tmp_path / "other.csv", ("d.", 0), ("unseen", 1))
    return [source(evaluation="held.csv"), source(name="other", train=None, evaluation="other.csv")]


def test_leaks_and_repeats_are_dropped_apart_and_named(
    leaky: list[Source], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    splits = load_splits(recipe(*leaky, leaks="drop"), tmp_path)
    require_no_leaks(splits)
    assert {e.text for e in splits.train + splits.calibration} == {"a", "c", "e"}
    file = str(tmp_path / "posts.csv")
    assert splits.leaks == [
        Leak("posts", "posts.validation", 2, file, "row 2 (line 3), row 4 (line 5)"),
        Leak("posts", "other.validation", 1, file, "row 4 (line 5)"),
    ]
    assert (splits.repeats, splits.disputed) == ({"posts": 1}, {})
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    where = "also in 'posts.validation': row 2 (line 3), row 4 (line 5)"
    assert f"dropped from training: {file}: 2 rows of 'posts', which trains, {where}" in warned


def test_leaks_are_refused_unless_the_recipe_drops_them(leaky: list[Source], tmp_path: Path) -> None:
    with pytest.raises(LeakError) as refused:
        load_splits(recipe(*leaky), tmp_path)
    assert refused.value.message == (
        f"{tmp_path / 'posts.csv'}: 2 rows of 'posts', which trains, also in 'posts.validation': "
        "row 2 (line 3), row 4 (line 5); besides, 1 in 1 other pairs of sets"
    )


def test_of_many_leaks_the_first_five_are_named(tmp_path: Path) -> None:
    rows = [(f"text {index}", index % 3) for index in range(1200)]
    write(tmp_path / "posts.csv", *rows)
    write(tmp_path / "held.csv", *rows[100:])
    with pytest.raises(LeakError, match=r"1,100 rows .*: row 101 \(line 102\), .* row 105 \(line 106\) and 1,095 more"):
        load_splits(recipe(source(evaluation="held.csv")), tmp_path)
    write(tmp_path / "other.csv", *rows[1190:])
    others = [source(name=name, train=None, evaluation="other.csv") for name in ("one", "two")]
    with pytest.raises(LeakError, match="and 1,095 more; besides, 20 in 2 other pairs of sets"):
        load_splits(recipe(source(evaluation="held.csv"), *others), tmp_path)


def test_what_a_source_holds_out_of_its_own_file_is_no_leak(tmp_path: Path) -> None:
    rows = [(text, index % 3) for index in range(100) for text in (f"text number {index}", f"Text number {index}!")]
    write(tmp_path / "posts.csv", *rows)
    assert load_splits(recipe(source(holdout=0.25)), tmp_path).leaks == []


def test_two_heads_that_hold_out_the_same_share_of_a_file_leak_nothing(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", *((f"text number {index}", index % 3) for index in range(100)))
    topics = {"0": "Macro", "1": "IPO", "2": "Markets"}
    both = [source(holdout=0.25), source(name="topics", head="topic", labels=topics, holdout=0.25)]
    assert load_splits(recipe(*both), tmp_path).leaks == []


def test_rows_that_say_nothing_are_counted_by_cause(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(
        tmp_path / "posts.csv", ("", "0"), ("a", ""), ("b", "0"), ("c", "0 1"), ("d", "?"), ("https://t.co/x", 1)
    )
    assert [e.text for e in read_source(source(label_pattern=r"(\d)"), path)] == ["b"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: source 'posts': of 6 rows passed over 2 without text (row 1 (line 2), row 6 (line 7)); "
        "1 without label (row 2 (line 3)); 1 whose labels disagree (row 4 (line 5)); "
        "1 where the pattern finds no label (row 5 (line 6))"
    ]


def test_a_row_without_a_label_is_passed_over_by_a_source_without_a_pattern_too(tmp_path: Path) -> None:
    path = write(tmp_path / "posts.csv", ("a", ""), ("b", "0"))
    assert [e.text for e in read_source(source(), path)] == ["b"]


def test_a_text_longer_than_any_headline_is_kept_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "posts.csv", ("fine " * 4_000, 0), ("long " * 4_001, 1))
    assert len(read_source(source(), path)) == 2
    said = (
        f"{path}: source 'posts': texts of over 20,000 characters, of which only the beginning is read: row 2 (line 3)"
    )
    assert [record.getMessage() for record in caplog.records] == [said]


def test_nothing_is_said_of_a_file_without_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_source(source(), write(tmp_path / "posts.csv", ("fell", 0), ("rose", 1)))
    assert not caplog.records


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
    require_no_leaks(splits)
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


def test_what_is_hard_by_choice_tempers_nothing_and_all_of_it_trains(tmp_path: Path) -> None:
    write(tmp_path / "posts.csv", *((f"text number {index}", index % 3) for index in range(100)))
    write(tmp_path / "hard.csv", *((f"hard text {index}", index % 3) for index in range(100)), ("text number 7", 1))
    hard = source(name="hard", train="hard.csv", calibrates=False, repeat=2)
    alone, both = (load_splits(recipe(source(), *more), tmp_path) for more in ((), (hard,)))
    require_no_leaks(both)
    assert both.calibration == alone.calibration
    assert len(alone.calibration) > 0
    assert len(both.train) == len(alone.train) + 2 * 100


def test_a_hard_text_that_tempers_another_head_trains_none(tmp_path: Path) -> None:
    rows = [(f"text number {index}", index % 3) for index in range(200)]
    write(tmp_path / "hard.csv", *rows)
    write(tmp_path / "topics.csv", *((text, "Macro" if label else "Markets") for text, label in rows))
    hard = source(name="hard", train="hard.csv", calibrates=False)
    topics = source(name="topics", train="topics.csv", head="topic", labels={})
    write(tmp_path / "other.csv", *((f"another text {index}", index % 3) for index in range(50)))
    splits = load_splits(recipe(topics, source(train="other.csv"), hard), tmp_path)
    require_no_leaks(splits)
    assert len({example.key for example in splits.calibration if example.head == "topic"}) > 3


def test_shares_are_even_and_differ_by_purpose() -> None:
    shares = [share_of(str(index), "holdout") for index in range(2000)]
    assert 0.47 < sum(shares) / len(shares) < 0.53
    assert share_of("x", "holdout") != share_of("x", "calibration")


def test_a_fingerprint_changes_with_any_text_or_label() -> None:
    rows = [sentiment("a", 0), sentiment("a", 1), sentiment("b", 0), Example("a", "topic", 0)]
    assert len({fingerprint([row]).sha256 for row in rows}) == len(rows)


def test_the_digest_is_of_the_rows_that_are_kept(tmp_path: Path) -> None:
    """Which the fingerprint of the whole file says nothing of."""
    one, other = sentiment("Oil falls"), sentiment("Oil rises", 2)
    digests = [
        digest_of([one, other], []),
        digest_of([other, one], []),
        digest_of([one], [other]),
        digest_of([one, one, other], []),
        digest_of([one, sentiment("Oil rises", 1)], []),
        digest_of([one, Example("Oil rises", "topic", 2)], []),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_of([sentiment("OIL falls!"), other], []) == digests[0]
    rows = [(f"text {number}", number % 2) for number in range(40)]
    write(tmp_path / "posts.csv", *rows)
    splits, twice = (load_splits(recipe(source(repeat=count)), tmp_path) for count in (1, 2))
    assert splits.rows == digest_of(splits.train, splits.calibration) != twice.rows


def test_the_default_recipe_reads_the_labelled_sets_without_leaks() -> None:
    root = shared("data/twitter_topic/train.parquet").parents[1]
    splits = load_splits(read_recipe(CONFIGS / "default.toml"), root)
    assert len(splits.evaluation["twitter_topic.validation"]) == 4117
    assert len(splits.evaluation["twitter_sent.validation"]) == 2388
    assert len(splits.train) > 30_000
    held_out = {e.key for rows in splits.evaluation.values() for e in rows}
    assert not held_out & {e.key for e in splits.train}
