"""What has been published by now: no more, no less, and under names that last."""

from datetime import timedelta

import pytest

from deploy.local.simulation.newsroom import items
from deploy.local.simulation.outlets import OUTLETS, SOCIAL
from deploy.local.simulation.phases import Course
from deploy.local.simulation.scenario import Scenario
from deploy.local.simulation.server import FEED_ITEMS
from deploy.local.simulation.timeline import CursorError, Timeline
from tests.unit.simulation.clock import START, FakeClock

SCENARIO = Scenario(seed=8, course=Course(20, 80), history_seconds=600, history_documents=300)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timeline(clock: FakeClock) -> Timeline:
    return Timeline(SCENARIO, START, clock)


def posts_until(second: int) -> list[str]:
    """Tokens of all posts that the scenario has before `second`."""
    epoch = int(START.timestamp())
    return [
        f"{epoch + item.second}-{item.number}"
        for at in range(-SCENARIO.history_seconds, second)
        for item in items(SCENARIO, at)
        if item.draft.outlet == SOCIAL
    ]


def test_paging_through_the_posts_loses_none_and_repeats_none(timeline: Timeline, clock: FakeClock) -> None:
    read, cursor = [], ""
    for _ in range(60):
        clock.forward(1.7)
        while True:
            found, cursor = timeline.posts_after(cursor, 7)
            read += [post.token for post in found]
            if len(found) < 7:
                break
    assert read == posts_until(102)


def test_a_page_without_posts_gives_the_cursor_back(timeline: Timeline) -> None:
    _, cursor = timeline.posts_after("", 10_000)
    assert timeline.posts_after(cursor, 10) == ([], cursor)


def test_a_cursor_holds_after_a_restart_of_the_server(timeline: Timeline, clock: FakeClock) -> None:
    _, cursor = timeline.posts_after("", 20)
    clock.forward(30)
    restarted = Timeline(SCENARIO, START, clock)
    assert restarted.posts_after(cursor, 5) == timeline.posts_after(cursor, 5)


def test_a_cursor_of_an_earlier_run_goes_on_from_its_time(clock: FakeClock) -> None:
    later = Timeline(SCENARIO, START + timedelta(hours=5), clock)
    clock.forward(5 * 3600)
    old_cursor = f"{int(START.timestamp())}-3"
    assert later.posts_after(old_cursor, 5) == later.posts_after("", 5)


@pytest.mark.parametrize("cursor", ["x", "12", "-1-2", "1-2-3", "1_000-1", "９-1"])
def test_a_foreign_cursor_is_refused(timeline: Timeline, cursor: str) -> None:
    with pytest.raises(CursorError, match="no cursor of this server"):
        timeline.posts_after(cursor, 5)


def test_a_second_is_published_whole_when_it_is_over(timeline: Timeline, clock: FakeClock) -> None:
    before = timeline.newest("wire", 500)
    clock.forward(0.99)
    assert timeline.newest("wire", 500) == before
    clock.forward(20)
    newest = timeline.newest("wire", 500)
    assert len(newest) > len(before)
    assert all(item.at < clock() for item in newest)


def test_the_newest_stand_first(timeline: Timeline, clock: FakeClock) -> None:
    clock.forward(40)
    moments = [item.at for item in timeline.newest("courier", 50)]
    assert moments == sorted(moments, reverse=True)


def test_a_feed_holds_all_of_half_a_minute_of_the_run(timeline: Timeline, clock: FakeClock) -> None:
    clock.forward(75)
    for outlet in OUTLETS:
        newest = timeline.newest(outlet.key, FEED_ITEMS)
        assert newest[-1].at < clock() - timedelta(seconds=30)


def test_the_past_is_there_from_the_start(timeline: Timeline) -> None:
    published = [item for outlet in OUTLETS for item in timeline.newest(outlet.key, FEED_ITEMS)]
    assert len(published) > 100
    assert min(item.at for item in published) < START - timedelta(seconds=500)
    assert max(item.at for item in published) < START


def test_an_item_is_found_by_its_token_once_it_is_published(timeline: Timeline, clock: FakeClock) -> None:
    clock.forward(30)
    item = timeline.newest("wire", 1)[0]
    assert timeline.find(item.token) == item
    clock.now = item.at
    assert timeline.find(item.token) is None
    assert timeline.find("nothing") is None


def test_addresses_of_two_runs_differ(clock: FakeClock) -> None:
    first = Timeline(SCENARIO, START, clock).newest("wire", 50)
    clock.forward(3600)
    second = Timeline(SCENARIO, clock(), clock).newest("wire", 50)
    assert not {item.path for item in first} & {item.path for item in second}
