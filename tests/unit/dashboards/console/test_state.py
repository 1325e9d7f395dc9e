from datetime import timedelta
from itertools import permutations

import pytest

from dashboards.console.state import RESOLVED_KEPT, ConsoleState, Headlines, Rate
from stream.records import Checkpoint
from stream.windows import THIN_AFTER, minute_of
from tests.unit.dashboards.console.records import PARTITIONS, alert, at, bucket, checkpoint, evidence, new_state, reach
from tests.unit.stream.headlines import headlines_of


def test_buckets_older_than_what_is_retained_are_passed_over() -> None:
    state = new_state(retained=60)
    state.put_bucket(bucket("Macro", 100))
    state.put_bucket(bucket("Macro", 39))
    state.put_bucket(bucket("Macro", 40))
    state.put_bucket(bucket("Macro", 30))  # the newest is still that of minute 100
    assert state.table.minutes("Macro") == [minute_of(at(40)), minute_of(at(100))]


def test_buckets_are_forgotten_as_event_time_goes_on() -> None:
    state = new_state(retained=60)
    for minute in range(1000):
        state.put_bucket(bucket("Macro", minute))
    held = state.table.minutes("Macro")
    assert held[0] >= minute_of(at(999 - 60 - 60 // 8 - 1))
    assert held[-1] == minute_of(at(999))


def test_only_probably_negative_headlines_are_kept() -> None:
    state = new_state()
    headlines = (evidence("Bank fails", negative=0.51), evidence("Bank opens a branch", negative=0.49))
    state.put_bucket(bucket("Financials", 0, headlines=headlines))
    assert [found.evidence.title for found in state.headlines.latest(9)] == ["Bank fails"]
    assert [item.title for item in headlines_of(state.table)] == ["Bank fails"]


def test_a_late_write_of_a_lost_partition_adds_no_headline() -> None:
    state = new_state()
    state.put_bucket(bucket("Financials", 0, applied=5))
    state.put_bucket(bucket("Financials", 0, applied=4, headlines=(evidence("Old"),)))
    assert state.headlines.latest(9) == []


def test_headlines_are_the_newest_and_each_title_stands_once() -> None:
    headlines = Headlines(kept=3)
    for minute in range(20):
        headlines.add("Macro", [evidence(f"Headline {minute}", minute=minute)])
    headlines.add("Markets", [evidence("HEADLINE 19", minute=19.5)])
    latest = [(found.topic, found.evidence.title) for found in headlines.latest(3)]
    assert latest == [("Markets", "HEADLINE 19"), ("Macro", "Headline 18"), ("Macro", "Headline 17")]
    headlines.add("Energy | Oil", [evidence("Headline 19", minute=3)])
    assert headlines.latest(1)[0].topic == "Markets", "the past is read after the newest"
    assert len(headlines.latest(99)) <= 2 * 3, "the others are forgotten"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_watermark_after_a_restart_does_not_depend_on_the_order_of_reading(order: tuple[int, ...]) -> None:
    state = ConsoleState(3, retained=1440, idle=timedelta(seconds=30), follow_clock=True)
    spoke = (60.0, 59.9, 0.0)  # minutes; the last partition fell silent an hour ago
    for partition in order:
        minute = spoke[partition]
        state.put_checkpoint(checkpoint(partition, 9, minute), at(minute), at(61))
    state.loaded(at(61))
    assert state.reached(at(61)) == at(61)


def test_windows_end_after_the_minute_that_event_time_reached() -> None:
    state = new_state()
    assert state.end(at(0)) is None
    state.put_bucket(bucket("Macro", 3))
    assert state.end(at(3)) == minute_of(at(3)) + 1  # no partition has told how far it is
    reach(state, 2)
    assert state.end(at(3)) == minute_of(at(2)) + 1


def test_where_nobody_looks_a_silent_partition_holds_no_headlines_back() -> None:
    state = new_state(retained=10 * THIN_AFTER)
    state.put_checkpoint(checkpoint(1, 1, 0), at(0), at(0))
    for minute in range(2 * THIN_AFTER):
        worse = evidence(f"Headline {minute}", negative=0.5 + minute / 10_000, minute=minute)
        state.put_bucket(bucket("Macro", minute, headlines=(worse,)))
        now = at(minute / 3)  # within what is still one wakefulness of the stream
        state.put_checkpoint(checkpoint(0, 1 + minute, minute), now, now)
        state.observe_ends({0: 0, 1: 0}, now)
        state.thin()
    assert len(headlines_of(state.table)) < THIN_AFTER


def test_totals_are_those_of_the_newest_checkpoints() -> None:
    state = new_state()
    reach(state, 1, position=50, late=2)
    reach(state, 2, position=70, late=3, dead=1)
    reach(state, 1, position=60, late=2)
    assert state.totals() == (PARTITIONS * 66, PARTITIONS * 3, PARTITIONS * 1)
    assert state.last_counted == at(2)
    state.put_checkpoint(checkpoint(0, 80, 1.5), at(1.5), at(2))  # read later than the other partition's
    assert state.last_counted == at(2)


def test_an_alert_takes_the_place_of_what_was_known_under_its_id() -> None:
    state = new_state()
    state.put_alert(alert())
    state.put_alert(alert(state="resolved", ended_at=at(40)))
    assert [entry.state for entry in state.alerts.values()] == ["resolved"]


def test_old_resolved_alerts_are_forgotten_and_firing_ones_never() -> None:
    state = new_state()
    state.put_alert(alert(id="old"))
    for number in range(3 * RESOLVED_KEPT):
        state.put_alert(alert(id=str(number), state="resolved", ended_at=at(number)))
    assert "old" in state.alerts
    assert str(3 * RESOLVED_KEPT - 1) in state.alerts
    assert len(state.alerts) <= 2 * RESOLVED_KEPT + 1


def test_the_rate_is_documents_over_the_last_minute_of_the_clock() -> None:
    rate = Rate()
    for second in range(0, 300, 5):
        rate.observe(second * 2, at(second / 60))
    assert rate.per_minute(at(295 / 60)) == pytest.approx(120)
    assert rate.per_minute(at(355 / 60)) == 0
    assert rate.per_minute(at(9000)) == 0


def test_a_rate_reaches_back_to_what_was_known_a_minute_ago() -> None:
    rate = Rate()
    for second, total in ((0, 0), (59, 100), (61, 100)):
        rate.observe(total, at(second / 60))
    assert rate.per_minute(at(61 / 60)) == pytest.approx(100)
    rate.observe(400, at(11))
    assert rate.per_minute(at(11)) == pytest.approx(300), "nothing says that they came before the last minute"


def test_the_rate_is_unknown_for_the_first_seconds() -> None:
    rate = Rate()
    assert rate.per_minute(at(0)) is None
    rate.observe(100, at(0))
    assert rate.per_minute(at(0.05)) is None
    rate.observe(130, at(0.25))
    assert rate.per_minute(at(0.5)) == pytest.approx(60)


def test_what_stood_in_the_log_before_is_no_rate() -> None:
    state = ConsoleState(1, retained=1440, idle=timedelta(seconds=30), follow_clock=False)
    for position, read in ((10, 4), (5000, 5)):
        entry = Checkpoint(partition=0, position=position, counted=position, watermark=at(0))
        state.put_checkpoint(entry, at(0), at(read))
    state.loaded(at(5))
    assert state.per_minute(at(5.5)) == 0


def test_documents_that_wait_uncounted_for_minutes_are_a_standstill() -> None:
    state = new_state()
    reach(state, 0, position=10)
    state.observe_ends({0: 10, 1: 10}, at(1))
    assert (state.to_count(), state.stalled_since(at(60))) == (0, None), "nothing is to be done"
    state.observe_ends({0: 15, 1: 10}, at(61))
    assert (state.to_count(), state.stalled_since(at(62))) == (5, None), "it has just come"
    assert state.stalled_since(at(63)) == at(61)
    state.observe_ends({0: 20, 1: 10}, at(64))
    assert state.stalled_since(at(64)) == at(61), "more that come change nothing"
    state.put_checkpoint(checkpoint(0, 10, 64), at(64), at(64))
    state.observe_ends({0: 20, 1: 10}, at(64))
    assert state.stalled_since(at(64)) == at(61), "nor does a checkpoint that says nothing new"
    state.put_checkpoint(checkpoint(0, 12, 64), at(64), at(64))
    state.observe_ends({0: 20, 1: 10}, at(64.5))
    assert (state.to_count(), state.stalled_since(at(65))) == (8, None), "it goes on"
