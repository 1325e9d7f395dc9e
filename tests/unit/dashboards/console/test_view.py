import msgspec
import pytest

from dashboards.console.state import TOPIC_HEADLINES, ConsoleState
from dashboards.console.view import (
    Connection,
    View,
    build_topic_view,
    build_view,
    slug_of,
    web_address,
)
from model.labels import TOPICS
from tests.unit.dashboards.console.records import PARTITIONS, SETTINGS, alert, at, bucket, evidence, new_state, reach

LIVE = Connection(state="live", since=at(0))


def view_of(state: ConsoleState, *, window: str = "1h", minute: float = 60) -> View:
    return build_view(state, LIVE, window, SETTINGS, at(minute))


def filled() -> ConsoleState:
    state = new_state()
    state.put_bucket(bucket("Macro", 50, stories=20, negative=6))
    state.put_bucket(bucket("Markets", 50, stories=20, negative=12))
    state.put_bucket(bucket("IPO", 50, stories=2, negative=2))
    state.put_bucket(bucket("Dividend", -400, stories=30))
    state.put_bucket(bucket("Earnings", 50, stories=20, negative=1))
    reach(state, 59)
    return state


def test_topics_stand_by_negative_share_those_with_few_stories_after_them() -> None:
    rows = view_of(filled()).topics
    assert [(row.name, row.state) for row in rows] == [
        ("Markets", "calm"),
        ("Macro", "calm"),
        ("Earnings", "calm"),
        ("IPO", "few"),
        ("Dividend", "silent"),
    ]


def test_of_equal_shares_the_one_of_more_stories_comes_first_and_enough_are_enough() -> None:
    state = new_state()
    for topic, stories in (("Currencies", SETTINGS.enough_stories), ("Gold", 30), ("Energy", 9)):
        state.put_bucket(bucket(topic, 50, stories=stories))
    reach(state, 59)
    rows = [(row.name, row.state) for row in view_of(state).topics]
    assert rows == [("Gold", "calm"), ("Currencies", "calm"), ("Energy", "few")]


def test_firing_topics_stand_first_the_critical_before_the_others() -> None:
    state = filled()
    state.put_alert(alert("Macro", severity="warning"))
    state.put_alert(alert("Dividend", severity="critical"))
    rows = view_of(state).topics
    assert [(row.name, row.state) for row in rows][:3] == [
        ("Dividend", "critical"),
        ("Macro", "warning"),
        ("Markets", "calm"),
    ]


def test_a_topic_that_fires_without_a_bucket_is_shown() -> None:
    state = filled()
    state.put_alert(alert("Financials"))
    first = view_of(state).topics[0]
    assert (first.name, first.share, first.baseline) == ("Financials", None, 0.15)


def test_the_baseline_of_another_window_is_not_shown_beside_the_share() -> None:
    state = filled()
    state.put_alert(alert("Macro", window="1h"))
    found = {window: {row.name: row for row in view_of(state, window=window).topics} for window in ("1h", "24h")}
    assert found["1h"]["Macro"].baseline == 0.15
    assert found["24h"]["Macro"].baseline is None
    assert found["24h"]["Macro"].state != "calm"


def test_a_row_holds_the_numbers_of_the_window_that_ends_now() -> None:
    state = filled()
    state.put_bucket(bucket("Macro", -1, stories=5, negative=5))
    rows = {row.name: row for row in view_of(state).topics}
    assert (rows["Macro"].stories, rows["Macro"].negative_stories, rows["Macro"].share) == (20, 6, 0.3)
    assert rows["Dividend"].share is None
    wider = {row.name: row for row in view_of(state, window="24h").topics}
    assert (wider["Macro"].stories, wider["Dividend"].stories) == (25, 30)


def test_two_judges_of_one_topic_are_one_row_with_the_graver_severity() -> None:
    state = filled()
    state.put_alert(alert("Macro", judge="drift", severity="warning", started_at=at(20)))
    state.put_alert(alert("Macro", judge="spike", severity="critical"))
    view = view_of(state)
    assert [row.state for row in view.topics if row.name == "Macro"] == ["critical"]
    assert [card.judge for card in view.firing] == ["spike", "drift"]


def test_of_equally_grave_alerts_the_newest_comes_first() -> None:
    state = filled()
    for topic, minute in (("Macro", 10), ("Markets", 30), ("Earnings", 20)):
        state.put_alert(alert(topic, started_at=at(minute)))
    assert [card.topic for card in view_of(state).firing] == ["Markets", "Earnings", "Macro"]


def test_an_alert_that_is_judged_ahead_of_what_is_read_lasts_as_long_as_it_was_judged() -> None:
    state = new_state()
    reach(state, 10)
    state.put_alert(alert("Macro", evaluated_at=at(30)))
    assert view_of(state).firing[0].minutes == 30


def test_an_alert_lasts_until_event_time_or_its_end() -> None:
    state = filled()
    state.put_alert(alert("Macro"))
    state.put_alert(alert("Markets", state="resolved", ended_at=at(25), evaluated_at=at(25)))
    view = view_of(state)
    assert view.firing[0].minutes == 59
    assert view.resolved[0].minutes == 25


def test_the_latest_resolved_alerts_are_shown_newest_first() -> None:
    state = filled()
    for number in range(9):
        state.put_alert(alert(id=str(number), state="resolved", ended_at=at(number)))
    assert [card.id for card in view_of(state).resolved] == ["8", "7", "6", "5", "4"]


def test_nothing_counted_is_waiting() -> None:
    view = view_of(new_state())
    assert (view.waiting, view.topics, view.pipeline.reached) == (True, (), None)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//news.example/a", "/events", "", "http://", "https://[broken"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    assert web_address(url) == ""


def test_web_addresses_are_kept_as_they_are() -> None:
    assert web_address("https://news.example/a?b=1#c") == "https://news.example/a?b=1#c"


def test_an_opened_topic_has_its_headlines_and_alerts() -> None:
    state = filled()
    worse, bad = evidence("Worse", negative=0.95, minute=50), evidence("Bad", negative=0.7, minute=51)
    state.put_bucket(bucket("Macro", 51, stories=1, negative=1, headlines=(bad,)))
    state.put_bucket(bucket("Macro", 52, stories=1, negative=1, headlines=(worse,)))
    state.put_alert(alert("Macro", id="over", state="resolved", ended_at=at(10)))
    state.put_alert(alert("Macro", id="now"))
    state.put_alert(alert("Markets", id="other"))
    topic = build_topic_view(state, view_of(state), "Macro", at(60))
    assert topic is not None
    assert [item.title for item in topic.headlines] == ["Worse", "Bad"]
    assert [card.id for card in topic.alerts] == ["now", "over"]


def test_an_opened_topic_shows_the_headlines_of_its_window_and_a_few_of_what_is_over() -> None:
    state = filled()
    titles = [f"Headline {number}" for number in range(TOPIC_HEADLINES + 5)]
    headlines = tuple(evidence(title, minute=-200) for title in titles)
    state.put_bucket(bucket("Macro", -200, stories=20, negative=20, headlines=headlines))
    for number in range(5):
        state.put_alert(alert("Macro", id=str(number), state="resolved", ended_at=at(number)))
    for window, shown in (("1h", 0), ("24h", TOPIC_HEADLINES)):
        topic = build_topic_view(state, view_of(state, window=window), "Macro", at(60))
        assert topic is not None
        assert len(topic.headlines) == shown
        assert [card.id for card in topic.alerts] == ["4", "3", "2"]


def test_the_latest_headlines_are_as_many_as_the_settings_say_and_name_their_topics() -> None:
    state = filled()
    for number in range(SETTINGS.headlines + 5):
        headline = evidence(f"Headline {number}", minute=number)
        state.put_bucket(bucket("Macro", number, negative=1, headlines=(headline,)))
    found = view_of(state).headlines
    assert [headline.title for headline in found] == [f"Headline {number}" for number in range(24, 4, -1)]
    assert {headline.topic for headline in found} == {"Macro"}


def test_what_was_not_counted_is_told_apart() -> None:
    state = new_state()
    reach(state, 59, position=50, late=7, dead=3)
    pipeline = view_of(state).pipeline
    assert (pipeline.counted, pipeline.late, pipeline.dead) == (PARTITIONS * 40, PARTITIONS * 7, PARTITIONS * 3)


@pytest.mark.parametrize("topic", ["", "Nonsense", "macro"])
def test_a_topic_that_is_not_there_cannot_be_opened(topic: str) -> None:
    state = filled()
    assert build_topic_view(state, view_of(state), topic, at(60)) is None


def test_each_topic_has_an_id_of_its_own() -> None:
    slugs = {slug_of(topic) for topic in TOPICS}
    assert len(slugs) == len(TOPICS)
    assert slug_of("Treasuries | Corporate Debt") == "treasuries-corporate-debt"


def test_a_view_is_plain_json() -> None:
    state = filled()
    state.put_alert(alert("Macro", evidence=(evidence("Bank fails"),)))
    plain = msgspec.json.decode(msgspec.json.encode(view_of(state)))
    assert plain["firing"][0]["headlines"][0]["title"] == "Bank fails"
    assert plain["pipeline"]["connection"]["state"] == "live"
