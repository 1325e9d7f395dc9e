"""The judge as on-call staff meet it: one alert per event, none for noise, and the same ones however time is cut."""

import random
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts.judge import Judge
from alerts.lane import Lane, Pool
from alerts.settings import AlertSettings, DriftSettings, WindowSettings
from stream.records import Alert, Bucket
from stream.windows import Counts, WindowTable, minute_of, moment_of
from tests.unit.alerts import synthetic
from tests.unit.alerts.synthetic import EPOCH, bucket, even, table_of

CALM, CRISIS = 0.2, 0.8
DAY = 24 * 60


def judged(buckets: list[Bucket], until: int, policy: AlertSettings | None = None) -> list[Alert]:
    """All that is told when everything is judged at once."""
    judge = Judge(policy or synthetic.settings(), lateness_minutes=10)
    return judge.advance(table_of(buckets), moment_of(EPOCH + until))


def crisis() -> list[Bucket]:
    """Four hours of calm, one of crisis, three of calm, two stories a minute."""
    return even(0, 240, 2, CALM) + even(240, 300, 2, CRISIS) + even(300, 480, 2, CALM)


def long_crisis() -> list[Bucket]:
    """A crisis that is over, and another one that lasts."""
    return [*crisis(), *even(480, 720, 2, CALM), *even(720, 780, 2, CRISIS)]


def test_a_crisis_is_one_alert_that_begins_and_ends() -> None:
    alerts = judged(crisis(), 480)
    assert len({alert.id for alert in alerts}) == 1
    assert alerts[0].state == "firing"
    assert alerts[-1].state == "resolved"
    assert 240 < minute_of(alerts[0].started_at) - EPOCH <= 260
    assert alerts[-1].ended_at is not None
    assert 300 < minute_of(alerts[-1].ended_at) - EPOCH <= 380


def test_calm_is_no_alert() -> None:
    assert judged(even(0, 2 * DAY, 2, CALM), 2 * DAY) == []


def test_a_crisis_in_one_topic_is_none_in_another() -> None:
    alerts = judged(crisis() + even(0, 480, 2, CALM, topic="Macro"), 480)
    assert {alert.topic for alert in alerts} == {"Financials"}


def test_the_first_record_carries_numbers_reason_and_evidence() -> None:
    first = judged(crisis(), 480)[0]
    assert first.judge == "spike"
    assert first.stories > 0
    assert first.share > first.lower_bound > first.baseline
    assert f"{first.negative_stories} of {first.stories} stories in the last 15 minutes are negative" in first.reason
    assert len(first.evidence) == 5


def test_a_crisis_without_any_past_waits_for_a_past() -> None:
    assert judged(even(0, 60, 2, CRISIS), 60) == []


def test_an_alert_begins_only_after_enough_evaluations_in_a_row() -> None:
    at_once, later = (judged(crisis(), 480, synthetic.settings(fire_after=count))[0] for count in (1, 3))
    assert minute_of(later.started_at) - minute_of(at_once.started_at) == 2 * synthetic.QUARTER.step_minutes


def test_a_lull_within_a_long_crisis_is_bridged() -> None:
    buckets = even(0, 480, 2, CALM) + even(480, 560, 2, CRISIS) + even(560, 580, 2, CALM) + even(580, 660, 2, CRISIS)
    alerts = judged(buckets, 660)
    assert len({alert.id for alert in alerts}) == 1
    assert alerts[-1].state == "firing"


def test_an_alert_ends_as_soon_as_the_newest_stories_are_calm() -> None:
    hour = {"1h": WindowSettings(minutes=60, step_minutes=5, min_stories=10)}
    buckets = even(0, 480, 20, CALM) + even(480, 540, 20, CRISIS) + even(540, 660, 20, CALM)
    last = judged(buckets, 660, synthetic.settings(hour))[-1]
    assert last.ended_at == moment_of(EPOCH + 540 + 3 * 5)
    assert last.share == pytest.approx(CALM)
    assert "20 of 100 stories in the last 5 minutes are negative (20%)" in last.reason


def test_a_few_calm_stories_end_no_alert() -> None:
    hour = {"1h": WindowSettings(minutes=60, step_minutes=5, min_stories=10)}
    buckets = even(0, 480, 1, CALM) + even(480, 540, 1, CRISIS) + even(540, 560, 1, CALM)
    assert judged(buckets, 560, synthetic.settings(hour))[-1].state == "firing"


def test_an_alert_resolves_when_its_topic_falls_silent() -> None:
    alerts = judged(even(0, 240, 2, CALM) + even(240, 300, 2, CRISIS) + [bucket(3 * DAY, 1, 0)], 4 * DAY)
    assert alerts[-1].state == "resolved"
    assert " for want of stories; no stories in the last 15 minutes" in alerts[-1].reason


def test_what_was_told_does_not_fire_a_longer_window_later() -> None:
    windows = {"15m": synthetic.QUARTER, "24h": WindowSettings(minutes=DAY, step_minutes=60, min_stories=10)}
    day = even(0, 4 * DAY, 1, CALM)
    buckets = [b for b in day if not 3 * DAY <= minute_of(b.minute) - EPOCH < 3 * DAY + 120]
    buckets += even(3 * DAY, 3 * DAY + 120, 6, 0.9)
    alerts = judged(buckets, 4 * DAY, synthetic.settings(windows))
    assert len({alert.id for alert in alerts}) == 1
    assert alerts[0].window == "15m"


def test_severity_rises_with_the_share_and_never_falls() -> None:
    buckets = even(0, 480, 8, CALM) + even(480, 540, 8, 0.55) + even(540, 600, 8, 0.95) + even(600, 660, 8, 0.55)
    alerts = judged(buckets, 660)
    severities = [alert.severity for alert in alerts]
    assert severities[0] == "warning"
    assert severities[-1] == "critical"
    assert sorted(severities, reverse=True) == severities


def test_a_gap_of_years_costs_nothing() -> None:
    buckets = even(0, 240, 2, CALM) + even(20 * 365 * DAY, 20 * 365 * DAY + 240, 2, CALM)
    table = table_of(buckets)
    judge = Judge(synthetic.settings(), lateness_minutes=10)
    judge.advance(table, moment_of(EPOCH + 21 * 365 * DAY))
    assert judge.evaluations < 300


def test_a_long_crisis_becomes_the_norm_only_after_days() -> None:
    buckets = even(0, 2 * DAY, 1, CALM) + even(2 * DAY, 14 * DAY, 1, 0.6)
    policy = synthetic.settings({"1h": synthetic.HOUR})
    policy = policy.model_copy(update={"baseline": policy.baseline.model_copy(update={"adapt_days": 3.0})})
    alerts = judged(buckets, 14 * DAY, policy)
    assert len({alert.id for alert in alerts}) == 1
    assert alerts[-1].ended_at is not None
    assert 5 * DAY < minute_of(alerts[-1].ended_at) - EPOCH < 9 * DAY


def test_the_final_verdict_counts_what_came_late() -> None:
    judge = Judge(synthetic.settings(), lateness_minutes=30)
    table = table_of(even(0, 240, 2, CALM) + even(240, 270, 2, CRISIS))
    first = judge.advance(table, moment_of(EPOCH + 260))[0]
    started = minute_of(first.started_at) - EPOCH
    for late in even(started - 15, started, 30, 0.0):
        table.put(bucket(minute_of(late.minute) - EPOCH, 30, 0, partition=1))
    final = judge.advance(table, moment_of(EPOCH + started + 30))
    told = [alert for alert in final if alert.final]
    assert told[0].id == first.id
    assert told[0].final.startswith(f"not confirmed: {first.negative_stories} of {first.stories + 450} stories")


def test_the_final_verdict_of_a_stream_in_order_is_the_first_one() -> None:
    alerts = judged(crisis(), 480)
    first, finals = alerts[0], [alert.final for alert in alerts if alert.final]
    assert first.final == ""
    assert finals[0].startswith(f"confirmed: {first.negative_stories} of {first.stories} stories negative")
    assert set(finals) == {finals[0]}


def test_a_slow_drift_is_noticed_by_its_own_judge() -> None:
    hour = WindowSettings(minutes=60, step_minutes=60, min_stories=10)
    shares = [0.2] * 48 + [0.2 + 0.004 * i for i in range(40)] + [0.36] * 30
    buckets = [b for i, share in enumerate(shares) for b in even(60 * i, 60 * i + 60, 1, share)]
    policy = synthetic.settings({"1h": hour}, drift=DriftSettings(window="1h", limit=5))
    alerts = judged(buckets, 60 * len(shares), policy)
    assert {alert.judge for alert in alerts} == {"drift"}
    assert len({alert.id for alert in alerts}) == 1
    assert "has crept up" in alerts[0].reason
    assert alerts[0].share > alerts[0].baseline


def test_a_drift_that_stood_when_its_judge_was_switched_off_ends() -> None:
    hour = WindowSettings(minutes=60, step_minutes=60, min_stories=10)
    shares = [0.2] * 48 + [0.2 + 0.004 * i for i in range(40)] + [0.36] * 10
    buckets = [b for i, share in enumerate(shares) for b in even(60 * i, 60 * i + 60, 1, share)]
    told = judged(
        buckets, 60 * len(shares), synthetic.settings({"1h": hour}, drift=DriftSettings(window="1h", limit=5))
    )
    assert told[-1].state == "firing"
    judge = Judge(synthetic.settings({"1h": hour}), lateness_minutes=10)
    judge.resume([told[-1]], moment_of(EPOCH + 60 * len(shares)))
    later = even(60 * len(shares), 60 * len(shares) + 60, 1, CALM)
    (last,) = judge.advance(table_of([*buckets, *later]), moment_of(EPOCH + 60 * len(shares) + 60))
    assert (last.id, last.state) == (told[-1].id, "resolved")
    assert "the judge of drift is switched off" in last.reason
    assert judge.standing() == []


minute_counts = st.tuples(st.integers(0, 6), st.floats(0, 1))


@st.composite
def streams(draw: st.DrawFn) -> list[Bucket]:
    """Two topics in stretches of calm, crisis and silence, over two partitions, in any order."""
    buckets: list[Bucket] = []
    for topic in ("Financials", "Macro"):
        at = draw(st.integers(0, 30))
        for _ in range(draw(st.integers(1, 6))):
            length, stories = draw(st.integers(10, 200)), draw(st.integers(0, 4))
            share = draw(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]))
            for minute, whole in enumerate(even(at, at + length, stories, share, topic=topic), at):
                if whole.stories:
                    buckets.append(bucket(minute, whole.stories, whole.negative, topic=topic, partition=minute % 2))
            at += length
    random.Random(draw(st.integers(0, 2**16))).shuffle(buckets)
    return buckets


def in_steps(buckets: list[Bucket], moments: list[int], *, prune: bool) -> list[Alert]:
    """What is told when the buckets come as time goes on: those before each moment, then the moment."""
    judge, table, told = Judge(synthetic.settings(), lateness_minutes=10), WindowTable(), []
    for before, moment in pairwise([-(2**40), *moments]):
        for item in buckets:
            if before <= minute_of(item.minute) - EPOCH < moment:
                table.put(item)
        told += judge.advance(table, moment_of(EPOCH + moment))
        if prune:
            table.drop_before(judge.horizon)
            judge.verdicts(table)
    return told


@settings(max_examples=40)
@given(streams(), st.lists(st.integers(0, 1300), max_size=12), st.booleans())
def test_the_steps_in_which_time_comes_change_nothing(buckets: list[Bucket], steps: list[int], prune: bool) -> None:
    end = 1400
    assert in_steps(buckets, [*sorted(steps), end], prune=prune) == judged(buckets, end)


@settings(max_examples=25)
@given(streams(), st.integers(0, 1300), st.integers(1, 1400), st.integers(0, 1400))
@example(long_crisis(), 770, 800, 280)
def test_a_restart_goes_on_as_if_there_had_been_none(buckets: list[Bucket], stop: int, end: int, amid: int) -> None:
    stop, end = min(stop, end), max(stop, end)
    judge = Judge(synthetic.settings(), lateness_minutes=10)
    told = judge.advance(table_of(buckets), moment_of(EPOCH + stop))
    latest = {alert.id: alert for alert in told}
    again, table = Judge(synthetic.settings(), lateness_minutes=10), table_of(buckets)
    again.resume(latest.values(), judge.judged)
    table.thin(EPOCH + stop, synthetic.settings().evidence)
    assert again.standing() == judge.standing()
    assert again.advance(table, moment_of(EPOCH + min(amid, stop))) == []
    assert again.standing() == judge.standing(), "whatever of the past is judged again"
    assert told + again.advance(table, moment_of(EPOCH + end)) == judged(buckets, end)
    judge.advance(table_of(buckets), moment_of(EPOCH + end))
    assert again.standing() == judge.standing()


def resumed(told: list[Alert], mark: int) -> Judge:
    """A judge that goes on after one which told this and had marked so many minutes."""
    judge = Judge(synthetic.settings(), lateness_minutes=10)
    judge.resume({alert.id: alert for alert in told}.values(), moment_of(EPOCH + mark))
    return judge


def last_states(told: list[Alert]) -> list[str]:
    """What the last record of each alert says of it, in order of their first."""
    return [alert.state for alert in {alert.id: alert for alert in told}.values()]


@pytest.mark.parametrize("mark", [700, 750, 780])
def test_a_restart_shows_what_stands_and_nothing_else_until_it_has_caught_up(mark: int) -> None:
    told = judged(long_crisis(), 780)
    judge = resumed(told, mark)
    shown = [judge.standing()]
    for minute in (100, 280, 500, 700, 740, 750, 780):
        judge.advance(table_of(long_crisis()), moment_of(EPOCH + minute))
        shown.append(judge.standing())
    assert [[alert.id for alert in alerts] for alerts in shown] == [[told[-1].id]] * 8


def test_an_alert_that_had_ended_does_not_stand_again_while_its_end_is_judged_anew() -> None:
    told = judged(crisis(), 480)
    judge = resumed(told, 270)
    for minute in range(200, 480, 5):
        judge.advance(table_of(crisis()), moment_of(EPOCH + minute))
        assert judge.standing() == []


@pytest.mark.parametrize("mark", [700, 780])
def test_an_alert_that_the_past_no_longer_bears_out_does_not_stand_for_ever(mark: int) -> None:
    told, calm = judged(long_crisis(), 780), even(0, 900, 2, CALM)
    judge = resumed(told, mark)
    assert [alert.id for alert in judge.standing()] == [told[-1].id]
    later = judge.advance(table_of(calm), moment_of(EPOCH + 900))
    assert judge.standing() == []
    assert [alert.id for alert in later] == [told[-1].id]
    assert set(last_states([*told, *later])) == {"resolved"}


def test_an_alert_of_a_moment_at_which_there_are_few_stories_now_may_end_at_once() -> None:
    told, silence = judged(long_crisis(), 780), [*even(0, 720, 2, CALM), bucket(730, 1, 0), bucket(900, 1, 0)]
    judge = Judge(synthetic.settings().model_copy(update={"resolve_after": 1}), lateness_minutes=10)
    judge.resume({alert.id: alert for alert in told}.values(), moment_of(EPOCH + 700))
    later = judge.advance(table_of(silence), moment_of(EPOCH + 1000))
    assert set(last_states([*told, *later])) == {"resolved"}


@pytest.mark.parametrize("step", [5, 790])
def test_what_another_run_told_ends_though_no_window_is_due_and_whatever_the_steps(step: int) -> None:
    """Its topic has no bucket of that time any more."""
    told, before = judged(long_crisis(), 780), even(0, 600, 2, CALM)
    start = minute_of(told[0].started_at) - EPOCH
    judge, table = resumed(told, start - 5), table_of(before)
    later = [alert for t in range(start, 1600, step) for alert in judge.advance(table, moment_of(EPOCH + t))]
    assert judge.standing() == []
    assert set(last_states([*told, *later])) == {"resolved"}
    assert [minute_of(alert.ended_at) - EPOCH for alert in later if alert.ended_at] == [270, 755]


def test_one_event_that_two_services_told_at_two_moments_ends_twice() -> None:
    """Documents came to one service a moment later than to the other; then one restarts and the other is gone."""
    sooner = judged(crisis(), 285)
    start = minute_of(sooner[0].started_at) - EPOCH
    judge, table = Judge(synthetic.settings(), lateness_minutes=10), table_of(even(0, 240, 2, CALM))
    later = judge.advance(table, moment_of(EPOCH + start))
    for item in crisis():
        table.put(item)
    later += judge.advance(table, moment_of(EPOCH + 285))
    told = [*sooner, *later]
    assert len({alert.id for alert in told}) == 2
    ending = resumed(told, 285).advance(table_of(crisis()), moment_of(EPOCH + 480))
    assert last_states([*told, *ending]) == ["resolved", "resolved"]
    twice = next(alert for alert in ending if alert.id == later[0].id)
    assert "told twice" in twice.reason
    assert twice.ended_at == twice.evaluated_at > twice.started_at


@pytest.mark.parametrize("mark", [200, 255, 265, 300])
def test_what_was_told_beyond_the_mark_is_told_once(mark: int) -> None:
    told = judged(crisis(), 480)
    again = resumed(told, mark).advance(table_of(crisis()), moment_of(EPOCH + 480))
    assert again == []


@settings(max_examples=30)
@given(streams())
def test_a_topic_never_holds_two_alerts_of_one_judge(buckets: list[Bucket]) -> None:
    standing: dict[tuple[str, str], str] = {}
    over: set[str] = set()
    for alert in judged(buckets, 1400):
        if alert.id in over:
            assert alert.final, "after its end an alert only gets its final verdict"
            continue
        assert standing.setdefault((alert.topic, alert.judge), alert.id) == alert.id
        if alert.state == "resolved":
            over.add(standing.pop((alert.topic, alert.judge)))


def test_the_work_grows_with_the_buckets_and_not_with_the_moments() -> None:
    rng = random.Random(7)
    buckets = [
        bucket(day * DAY, stories, rng.randint(0, stories) // 3, topic=f"topic {topic}")
        for day in range(365)
        for topic in range(20)
        if (stories := rng.choice([0, 0, 1, 1, 2]))
    ]
    judge = Judge(AlertSettings(), lateness_minutes=60)
    judge.advance(table_of(buckets), moment_of(EPOCH + 365 * DAY))
    assert judge.evaluations < 20 * len(buckets)


def test_a_restart_without_a_mark_tells_nothing_twice() -> None:
    judge = Judge(synthetic.settings(), lateness_minutes=10)
    told = judge.advance(table_of(crisis()), moment_of(EPOCH + 270))
    again = Judge(synthetic.settings(), lateness_minutes=10)
    again.resume([told[-1]], None)
    later = again.advance(table_of(crisis()), moment_of(EPOCH + 480))
    assert {alert.id for alert in later} == {told[0].id}
    assert later[-1].state == "resolved"


@pytest.mark.parametrize("window", ["15m", "gone"])
def test_an_alert_whose_buckets_expired_resolves(window: str) -> None:
    started = moment_of(EPOCH)
    past = Alert(
        id="f" * 32,
        topic="Dividend",
        judge="spike",
        state="firing",
        severity="warning",
        window=window,
        started_at=started,
        evaluated_at=started,
        negative_stories=9,
        stories=10,
        documents=10,
        share=0.9,
        baseline=0.2,
        lower_bound=0.6,
        reason="Dividend: bad.",
    )
    judge = Judge(synthetic.settings(), lateness_minutes=10)
    judge.resume([past], started)
    alerts = judge.advance(table_of(even(0, 240, 2, CALM)), moment_of(EPOCH + 240))
    assert alerts[-1].id == past.id
    assert alerts[-1].state == "resolved"


def test_documents_that_a_partition_brings_long_after_the_others_are_judged() -> None:
    policy = synthetic.settings({"4h": WindowSettings(minutes=240, step_minutes=60, min_stories=10)})
    table, judge = table_of(even(0, 600, 2, CALM)), Judge(policy, lateness_minutes=10)
    judge.advance(table, moment_of(EPOCH + 600), closed=moment_of(EPOCH + 400))
    table.drop_before(judge.horizon)
    table.put(bucket(420, 50, 10, partition=1))
    judge.advance(table, moment_of(EPOCH + 601), closed=moment_of(EPOCH + 591))
    (verdict,) = judge.verdicts(table)
    assert verdict.stories == 2 * 240 + 50


QUARTERS = {"15m": synthetic.QUARTER}


def test_a_topics_past_holds_each_story_once_and_none_of_the_judged_window() -> None:
    judge, table = Judge(synthetic.settings(), lateness_minutes=10), table_of(even(0, 240, 2, CALM))
    judge.advance(table, moment_of(EPOCH + 240))
    found = {verdict.window: verdict.baseline.stories for verdict in judge.verdicts(table)}
    assert found == {"15m": 2 * (240 - 15), "1h": 2 * (240 - 60)}


def test_an_alert_ends_only_after_calm_evaluations_in_a_row() -> None:
    buckets = even(0, 240, 20, CALM) + even(240, 255, 20, CRISIS)
    for start in range(255, 315, 10):
        buckets += even(start, start + 5, 20, CALM) + even(start + 5, start + 10, 20, CRISIS)
    alerts = judged(buckets, 315, synthetic.settings(QUARTERS))
    assert last_states(alerts) == ["firing"]


def test_a_window_of_many_times_the_length_keeps_no_alert_up_through_a_silence() -> None:
    windows = {**QUARTERS, "6h": WindowSettings(minutes=360, step_minutes=30, min_stories=10)}
    buckets = even(0, 720, 2, CALM) + even(720, 960, 4, 0.9) + [bucket(3 * DAY, 1, 0)]
    last = judged(buckets, 3 * DAY, synthetic.settings(windows))[-1]
    assert (last.state, last.window) == ("resolved", "15m")
    assert last.ended_at is not None
    assert minute_of(last.ended_at) - EPOCH <= 960 + 15 + 3 * 5


def test_an_alert_that_lasts_is_told_anew_once_in_the_time_of_its_window() -> None:
    alerts = judged(even(0, 240, 2, CALM) + even(240, 360, 2, CRISIS), 360, synthetic.settings(QUARTERS))
    told = sorted({minute_of(alert.evaluated_at) for alert in alerts})
    assert len(told) > 5
    assert {later - before for before, later in pairwise(told)} == {15}


def test_an_alert_that_becomes_critical_is_told_at_once() -> None:
    buckets = even(0, 480, 8, CALM) + even(480, 546, 8, 0.55) + even(546, 600, 8, 0.95)
    alerts = judged(buckets, 600, synthetic.settings(QUARTERS))
    rise = next(place for place, alert in enumerate(alerts) if alert.severity == "critical")
    assert alerts[rise - 1].severity == "warning"
    assert minute_of(alerts[rise].evaluated_at) - EPOCH == 550
    assert alerts[rise].evaluated_at - alerts[rise - 1].evaluated_at < moment_of(15) - moment_of(0)


def test_few_stories_that_are_all_bad_keep_an_alert_up() -> None:
    thin = [bucket(minute, 1, 1) for minute in range(270, 330, 2)]
    alerts = judged([*even(0, 240, 2, CALM), *even(240, 270, 2, 0.9), *thin], 330, synthetic.settings(QUARTERS))
    assert last_states(alerts) == ["firing"]


def test_a_few_bad_stories_in_the_calm_afterwards_keep_none_up() -> None:
    hour = {"1h": WindowSettings(minutes=60, step_minutes=5, min_stories=10)}
    buckets = even(0, 480, 20, CALM) + even(480, 540, 20, CRISIS)
    for start in range(540, 600, 10):
        buckets += [*even(start, start + 5, 20, CALM), bucket(start + 7, 3, 3)]
    assert last_states(judged(buckets, 600, synthetic.settings(hour))) == ["resolved"]


def test_a_drift_ends_where_its_topic_falls_silent() -> None:
    hour = WindowSettings(minutes=60, step_minutes=60, min_stories=10)
    shares = [0.2] * 48 + [0.2 + 0.004 * i for i in range(40)] + [0.36] * 10
    buckets = [b for i, share in enumerate(shares) for b in even(60 * i, 60 * i + 60, 1, share)]
    policy = synthetic.settings({"1h": hour}, drift=DriftSettings(window="1h", limit=5, patience=3))
    last = judged([*buckets, bucket(9 * DAY, 1, 0)], 9 * DAY, policy)[-1]
    assert (last.judge, last.state) == ("drift", "resolved")
    assert last.ended_at == moment_of(EPOCH + 60 * len(shares) + 3 * 60)


def hours(*shares: float) -> list[Bucket]:
    """A story a minute, of each hour the share that is negative."""
    return [b for i, share in enumerate(shares) for b in even(60 * i, 60 * i + 60, 1, share)]


def drifting(step: int) -> AlertSettings:
    hour = WindowSettings(minutes=60, step_minutes=step, min_stories=10)
    return synthetic.settings({"1h": hour}, drift=DriftSettings(window="1h", limit=5))


def test_a_drift_is_told_of_neighbouring_windows_however_often_they_are_looked_at() -> None:
    shares = [0.2] * 48 + [0.2 + 0.004 * i for i in range(40)] + [0.36] * 30 + [0.1] * 10
    seldom, often = (judged(hours(*shares), 60 * len(shares), drifting(step)) for step in (60, 10))
    assert last_states(seldom) == ["resolved"]
    assert often == seldom


def test_the_time_of_a_spike_is_no_drift() -> None:
    shares = [0.2] * 48 + [0.7] * 4 + [0.2] * 8
    assert {alert.judge for alert in judged(hours(*shares), 60 * len(shares), drifting(10))} == {"spike"}


def test_a_drift_that_follows_another_speaks_of_its_own_stories_alone() -> None:
    shares = [0.2] * 72 + [0.34] * 20 + [0.1] * 3 + [0.34] * 20
    told = judged(hours(*shares), 60 * len(shares), drifting(60))
    assert last_states(told) == ["resolved", "firing"]
    ended, again = next((one, other) for one, other in pairwise(told) if one.ended_at)
    assert again.stories <= minute_of(again.started_at) - minute_of(ended.evaluated_at)
    assert ended.ended_at == moment_of(EPOCH + 60 * (72 + 20 + 3)), "at half the limit"


def test_a_restart_without_a_mark_tells_what_the_last_moment_had_left() -> None:
    both = crisis() + [bucket(minute_of(b.minute) - EPOCH, b.stories, b.negative, topic="Macro") for b in crisis()]
    first, second, *_ = judged(both, 480)
    assert first.started_at == second.started_at
    again = Judge(synthetic.settings(), lateness_minutes=10)
    again.resume([first], None)
    assert second in again.advance(table_of(both), moment_of(EPOCH + 480))


def test_a_window_is_held_against_the_hour_in_which_it_began() -> None:
    pool = Pool("1h", synthetic.HOUR)
    lane, other = (Lane(topic, pool, AlertSettings()) for topic in ("Financials", "Macro"))
    for start in range(EPOCH, EPOCH + 8 * DAY, 60):
        busy = start % DAY == 9 * 60
        for one in (lane, other):
            one.remember(start, start + 60, Counts(documents=20, stories=20, negative_stories=12 if busy else 4))
    eight, nine, ten = (lane.baseline(EPOCH + 8 * DAY + (hour + 1) * 60).mean for hour in (8, 9, 10))
    assert nine > 2 * max(eight, ten)
    assert pool.overall == lane.history.total.plus(other.history.total)


@pytest.mark.parametrize("lateness", [5, 30])
def test_the_final_verdict_has_all_its_minutes_however_soon_the_table_is_pruned(lateness: int) -> None:
    judge, table = Judge(synthetic.settings(QUARTERS), lateness_minutes=lateness), table_of(crisis())
    told = []
    for minute in range(0, 481, 5):
        told += judge.advance(table, moment_of(EPOCH + minute))
        table.drop_before(judge.horizon)
    at_once = Judge(synthetic.settings(QUARTERS), lateness_minutes=lateness)
    assert told == at_once.advance(table_of(crisis()), moment_of(EPOCH + 480))


def test_the_final_verdict_of_an_alert_that_is_over_is_told_in_the_silence_after_it() -> None:
    judge = Judge(synthetic.settings(QUARTERS), lateness_minutes=60)
    table = table_of([*even(0, 240, 2, CALM), *even(240, 262, 2, CRISIS)])
    last = [alert for minute in range(0, 500, 5) for alert in judge.advance(table, moment_of(EPOCH + minute))][-1]
    assert last.state == "resolved"
    assert last.final.startswith("confirmed")
