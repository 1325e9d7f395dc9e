"""Swaps and trials: every document is named with the classifier that labelled it, and a bad one costs none."""

import gc
import weakref
from collections.abc import Callable
from random import Random

import pytest

from model.routing import DEFAULT
from stream.errors import ModelSickError
from stream.live_model import Batch, LiveModel
from stream.scoring import Scorer
from tests.unit.stream.classifiers import NOW, Known, batch, loaded, on_documents, on_everything

TRIAL = 3


class Loop:
    """The scoring loop around the model."""

    def __init__(self, first: Known) -> None:
        self.live = LiveModel(loaded(first), trial_batches=TRIAL)
        self.slot = self.live.default
        self.scorer = Scorer(topic="documents", max_text_bytes=1000)

    def score(self, *texts: str) -> Batch:
        return self.live.score(self.scorer, batch(*texts), NOW)


def models(scored: Batch) -> list[str]:
    return [item.document.model for item in scored.scored]


def test_a_swap_names_the_new_bundle_and_keeps_the_old_one_until_the_trial_is_over() -> None:
    old, new = Known(1), Known(2)
    loop = Loop(old)
    assert models(loop.score("a")) == ["bundle-1"]

    loop.slot.swap(loaded(new))
    results = [loop.score("a", "b") for _ in range(TRIAL)]

    assert [models(result) for result in results] == [["bundle-2"] * 2] * TRIAL
    assert [item.document.topic for item in results[0].scored] == [new.topic] * 2
    assert [[verdict.reason for verdict in result.verdicts] for result in results] == [[], [], [""]]
    assert (old.closed, new.closed, loop.slot.on_trial) == (True, False, False)
    assert loop.score("a").verdicts == []


def test_an_old_bundle_leaves_the_memory_with_its_trial() -> None:
    loop = Loop(Known(1))
    old = weakref.ref(loop.slot.current.classifier)
    loop.slot.swap(loaded(Known(2)))
    for _ in range(TRIAL):
        loop.score("a")
    gc.collect()
    assert old() is None


@pytest.mark.parametrize("fails", [on_documents, on_everything])
def test_an_error_on_trial_brings_the_old_one_back_and_costs_no_document(fails: Callable[[str], bool]) -> None:
    old, new = Known(1), Known(2, fails)
    loop = Loop(old)
    loop.slot.swap(loaded(new))

    result = loop.score("a", "b")

    assert models(result) == ["bundle-1"] * 2
    assert result.parts[DEFAULT].model == "bundle-1"
    (verdict,) = result.verdicts
    assert verdict.tried.classifier is new
    assert "bundle-2 cannot" in verdict.reason
    assert (old.closed, new.closed, loop.slot.on_trial) == (False, True, False)
    assert models(loop.score("c")) == ["bundle-1"]


def test_a_document_that_the_old_one_cannot_read_either_is_not_held_against_the_new_one() -> None:
    new = Known(2, lambda text: "crash" in text)
    loop = Loop(Known(1, lambda text: "crash" in text))
    loop.slot.swap(loaded(new))

    result = loop.score("a", "crash")

    assert [item.document.dead for item in result.scored] == [False, True]
    assert models(result)[0] == "bundle-2"
    assert loop.slot.current.classifier is new


def test_a_document_that_only_the_new_one_cannot_read_is_held_against_it() -> None:
    loop = Loop(Known(1))
    loop.slot.swap(loaded(Known(2, lambda text: "crash" in text)))

    assert models(loop.score("a", "crash")) == ["bundle-1"] * 2


def test_where_both_fail_on_everything_nobody_is_taken_back_and_the_loop_waits() -> None:
    new = Known(2, on_everything)
    loop = Loop(Known(1, on_everything))
    loop.slot.swap(loaded(new))

    with pytest.raises(ModelSickError):
        loop.score("a")
    assert loop.slot.current.classifier is new
    new.fails = lambda _text: False
    assert models(loop.score("a")) == ["bundle-2"]


def test_a_sick_predecessor_takes_nothing_back_from_a_bundle_that_only_one_document_upsets() -> None:
    new = Known(2, lambda text: text == "bad")
    loop = Loop(Known(1, on_everything))
    loop.slot.swap(loaded(new))

    read, rejected = (item.document for item in loop.score("a", "bad").scored)
    assert (read.model, read.dead) == ("bundle-2", False)
    assert rejected.dead
    assert loop.slot.current.classifier is new


def test_what_never_reached_the_classifier_is_no_trial() -> None:
    loop = Loop(Known(1))
    loop.slot.swap(loaded(Known(2)))
    for _ in range(2 * TRIAL):
        assert loop.score("", "").verdicts == []
    assert loop.slot.on_trial


def test_of_two_swaps_in_a_row_the_proven_one_stays_behind() -> None:
    proven, unproven, bad = Known(1), Known(2), Known(3, on_documents)
    loop = Loop(proven)
    loop.slot.swap(loaded(unproven))
    loop.slot.swap(loaded(bad))
    assert unproven.closed

    assert models(loop.score("a")) == ["bundle-1"]


def test_at_the_end_all_that_is_held_is_closed() -> None:
    old, new = Known(1), Known(2)
    live = LiveModel(loaded(old))
    live.default.swap(loaded(new))
    live.close()
    assert (old.closed, new.closed) == (True, True)


def test_random_swaps_and_failures_leave_each_document_once_and_rightly_named() -> None:
    """Whatever happens: as many results as records, each label that of the bundle it names, one bundle a batch."""
    random = Random(5)
    for _ in range(200):
        made = [Known(0)]
        loop = Loop(made[0])
        for _ in range(30):
            if random.random() < 0.3:
                fails = random.choice([on_documents, on_everything, lambda _text: False, lambda text: "7" in text])
                made.append(Known(len(made) % 20, fails))
                loop.slot.swap(loaded(made[-1]))
            texts = [f"text {random.randrange(10)}" for _ in range(random.randrange(1, 4))]
            try:
                result = loop.score(*texts)
            except ModelSickError:
                continue
            assert [item.document.origin for item in result.scored] == list(range(len(texts)))
            alive = [item.document for item in result.scored if not item.document.dead]
            assert {item.model for item in alive} <= {result.parts[DEFAULT].model}
            topics = {f"{one.version}": one.topic for one in made}
            assert [item.topic for item in alive] == [topics[item.model] for item in alive]
        loop.live.close()
        assert all(one.closed for one in made)


def test_a_batch_that_neither_can_read_is_no_trial() -> None:
    loop = Loop(Known(1, lambda text: "crash" in text))
    loop.slot.swap(loaded(Known(2, lambda text: "crash" in text)))
    for _ in range(2 * TRIAL):
        assert loop.score("crash").verdicts == []
    assert loop.slot.on_trial


@pytest.mark.parametrize("old_fails", [lambda text: text == "bad", on_everything])
def test_a_trial_ends_though_each_batch_has_a_document_that_neither_can_read(old_fails: Callable[[str], bool]) -> None:
    loop = Loop(Known(1, old_fails))
    loop.slot.swap(loaded(Known(2, lambda text: text == "bad")))
    verdicts = [verdict for _ in range(TRIAL) for verdict in loop.score("a", "bad").verdicts]
    assert [verdict.reason for verdict in verdicts] == [""]
    assert not loop.slot.on_trial


def test_a_second_swap_begins_a_trial_of_full_length() -> None:
    loop = Loop(Known(1))
    for number in (2, 3):
        loop.slot.swap(loaded(Known(number)))
        for _ in range(TRIAL - 1):
            assert loop.score("a").verdicts == []
    assert loop.slot.on_trial
