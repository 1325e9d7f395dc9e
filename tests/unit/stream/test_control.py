from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stream.control import (
    LONGEST_HISTORY,
    ControlTable,
    candidates,
    in_one_line,
    key_of,
    model_of,
    progress,
    progress_of,
    promote,
    restore,
    roll_back,
    shadow,
    worker_key,
)
from stream.errors import FinSentryError, SchemaError
from stream.records import SCHEMA, BundleRef, Progress, Promotion, WorkerReport, encode

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
A, B, C = (BundleRef(folder=f"/bundles/{name}", version=name, digest=name * 8) for name in "abc")


def report(worker: str) -> WorkerReport:
    return WorkerReport(worker=worker, at=NOW, model="a", live=Progress(promotion="1", state="live"))


def test_the_newest_record_of_a_key_stands_and_a_tombstone_takes_it_out() -> None:
    table = ControlTable()
    first, second, beside = promote(A, None, NOW), promote(B, None, NOW), shadow(C, NOW, NOW + timedelta(minutes=1))
    for key, record in (("live", first), ("live", second), ("shadow", beside)):
        table.put(key.encode(), encode(record), 0)
    table.put(worker_key("w1"), encode(report("w1")), 1000)
    table.put(worker_key("w2"), encode(report("w2")), 2000)
    assert (table.live, table.shadow) == ({"": second}, beside)
    assert (table.heard_since(1500), table.heard_since(2000), table.heard_since(2001)) == ({"w2"}, {"w2"}, set())

    table.put(b"shadow", None, 3000)
    table.put(worker_key("w2"), None, 3000)
    table.put(worker_key("never"), None, 3000)
    table.put(b"live/zh", None, 3000)
    assert (table.live, table.shadow, set(table.workers)) == ({"": second}, None, {"w1"})


def test_what_cannot_be_read_changes_nothing_and_other_keys_are_passed_over() -> None:
    table = ControlTable()
    live = promote(A, None, NOW)
    table.put(b"live", encode(live), 0)
    with pytest.raises(msgspec.MsgspecError):
        table.put(b"live", b"{", 0)
    with pytest.raises(SchemaError):
        table.put(b"live", encode(msgspec.structs.replace(live, schema=SCHEMA + 1)), 0)
    with pytest.raises(SchemaError):
        table.put(worker_key("w1"), encode(msgspec.structs.replace(report("w1"), schema=SCHEMA + 1)), 0)
    for key in (b"of a later version", b"lives", b"shadows"):
        table.put(key, b"?", 0)
    table.put(None, b"?", 0)
    assert (table.live, table.workers) == ({"": live}, {})


def test_rollbacks_go_back_through_what_was_live_to_the_workers_own_bundle() -> None:
    promotion = promote(C, promote(B, promote(A, None, NOW), NOW), NOW)
    found = []
    step: Promotion | None = promotion
    while step is not None:
        found.append(step.bundle)
        step = roll_back(step, NOW)
    assert found == [C, B, A, None]


def test_a_worker_tries_what_was_live_before_from_the_newest_on() -> None:
    assert candidates(promote(C, promote(B, promote(A, None, NOW), NOW), NOW)) == (C, B, A, None)


def test_promoting_the_same_bundle_again_adds_nothing_to_its_past() -> None:
    assert promote(B, promote(B, promote(A, None, NOW), NOW), NOW).history == (A,)


def test_the_past_is_bounded() -> None:
    promotion = None
    for number in range(3 * LONGEST_HISTORY):
        promotion = promote(BundleRef(folder="/b", version=str(number)), promotion, NOW)
    assert promotion is not None
    assert [bundle.version for bundle in promotion.history] == [str(number) for number in range(19, 29)]


def test_taking_back_asks_for_what_stood_there_before_under_a_new_name() -> None:
    before = promote(B, promote(A, None, NOW), NOW)
    again = restore(before, NOW)
    assert (again.bundle, again.history) == (B, (A,))
    assert again.id != before.id
    assert restore(None, NOW).bundle is None


def test_a_language_has_a_promotion_of_its_own_beside_the_default_one() -> None:
    table = ControlTable()
    default, chinese = promote(A, None, NOW), promote(B, None, NOW, "zh")
    assert (key_of("live", ""), key_of("live", "zh"), key_of("shadow", "zh")) == ("live", "live/zh", "shadow")
    for promotion in (default, chinese):
        table.put(key_of(promotion.mode, promotion.language).encode(), encode(promotion), 0)

    assert table.live == {"": default, "zh": chinese}
    assert (table.standing("live", "zh"), table.standing("live", "de"), table.standing("shadow", "zh")) == (
        chinese,
        None,
        None,
    )
    assert (roll_back(chinese, NOW) or chinese).language == restore(chinese, NOW, "zh").language == "zh"
    table.put(b"live/zh", None, 0)
    assert table.live == {"": default}


def test_a_worker_answers_for_each_language() -> None:
    default, chinese, beside = promote(A, None, NOW), promote(B, None, NOW, "zh"), shadow(C, NOW, NOW, "zh")
    told = {
        one.id: Progress(promotion=one.id, state="live", version=name)
        for name, one in (("a", default), ("b", chinese), ("c", beside))
    }
    report = WorkerReport(
        worker="w",
        at=NOW,
        model="a",
        models={"zh": "b"},
        live=told[default.id],
        languages={"zh": told[chinese.id]},
        shadow=told[beside.id],
    )
    for promotion in (default, chinese, beside):
        assert progress_of(report, promotion) == told[promotion.id]
    assert progress_of(report, promote(B, None, NOW, "zh")) is None
    assert progress_of(report, promote(B, None, NOW, "de")) is None
    assert [model_of(report, language) for language in ("", "zh", "de")] == ["a", "b", ""]


def test_a_shadow_says_when_it_ends_though_nobody_is_left_to_end_it() -> None:
    until = NOW + timedelta(minutes=1)
    beside = shadow(A, NOW, until, "zh")
    assert (beside.mode, beside.bundle, beside.language, beside.until) == ("shadow", A, "zh", until)


def test_a_worker_names_the_bundle_and_says_why_it_refuses_and_what_to_do() -> None:
    wanted = promote(B, None, NOW)
    reason = in_one_line(FinSentryError("no such folder", fix="copy it there"))
    assert reason == "no such folder; copy it there"
    assert progress(wanted, "refused", reason) == Progress(
        promotion=wanted.id, state="refused", version="b", reason=reason
    )
    assert progress(restore(None, NOW), "live").version == ""
    assert in_one_line(ValueError("odd")) == "ValueError: odd"
