"""The simulated web as a client sees it."""

import re
from calendar import timegm
from datetime import UTC, datetime
from html import unescape

import feedparser
import pytest

from deploy.local.simulation.outlets import OUTLETS
from deploy.local.simulation.phases import Course
from deploy.local.simulation.scenario import Scenario
from deploy.local.simulation.server import FEED_ITEMS, create_app
from ingest.article import text_of_page
from tests.unit.simulation.clock import START, FakeClock
from tests.unit.simulation.web import BASE, Web

SCENARIO = Scenario(seed=8, course=Course(20, 80))
FEEDS = [f"/feeds/{outlet.key}.xml" for outlet in OUTLETS]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def web(clock: FakeClock) -> Web:
    client = Web(create_app(SCENARIO, clock))
    clock.forward(60)
    return client


@pytest.mark.parametrize("path", FEEDS)
def test_every_feed_is_well_formed_and_complete(web: Web, clock: FakeClock, path: str) -> None:
    answer = web.get(path)
    feed = feedparser.parse(answer.content, response_headers=dict(answer.headers))
    assert not feed.bozo, feed.get("bozo_exception")
    assert feed.version in ("rss20", "atom10")
    assert 50 < len(feed.entries) <= FEED_ITEMS
    assert len({entry.id for entry in feed.entries}) == len(feed.entries)
    for entry in feed.entries:
        assert entry.title
        assert entry.summary
        assert entry.link.startswith(f"{BASE}/")
        assert datetime.fromtimestamp(timegm(entry.published_parsed), UTC) <= clock()


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_that_has_not_changed_is_not_sent_again(web: Web, path: str) -> None:
    first = web.get(path)
    by_tag = web.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (by_tag.status_code, by_tag.content) == (304, b"")
    assert by_tag.headers["etag"] == first.headers["etag"]
    assert web.get(path, headers={"If-Modified-Since": first.headers["last-modified"]}).status_code == 304


def test_a_feed_that_has_changed_is_sent(web: Web, clock: FakeClock) -> None:
    first = web.get("/feeds/wire.xml")
    clock.forward(10)
    for known in (
        {"If-None-Match": first.headers["etag"]},
        {"If-Modified-Since": first.headers["last-modified"]},
        {"If-None-Match": '"other"', "If-Modified-Since": "Mon, 09 Mar 2099 08:00:00 GMT"},
    ):
        answer = web.get("/feeds/wire.xml", headers=known)
        assert answer.status_code == 200
        assert answer.content != first.content


def test_an_unreadable_date_is_no_condition(web: Web) -> None:
    assert web.get("/feeds/wire.xml", headers={"If-Modified-Since": "yesterday"}).status_code == 200


def test_the_tag_of_a_feed_stands_for_its_content(web: Web, clock: FakeClock) -> None:
    seen: dict[str, bytes] = {}
    for _ in range(40):
        clock.forward(0.5)
        answer = web.get("/feeds/tape.xml")
        assert seen.setdefault(answer.headers["etag"], answer.content) == answer.content
    assert len(seen) > 10


@pytest.mark.parametrize("path", FEEDS)
def test_an_article_page_extracts_to_its_text(web: Web, path: str) -> None:
    feed = feedparser.parse(web.get(path).content)
    for entry in feed.entries[:5]:
        page = web.get(entry.link)
        assert page.status_code == 200
        text = text_of_page(page.content, entry.link)
        summary = unescape(re.sub(r"<[^>]+>", "", entry.summary))
        assert summary in text
        for boilerplate in ("Subscribe now", "Advertisement", "More from", "Terms of use", "Sign in"):
            assert boilerplate not in text
        assert not any(other.title in text for other in feed.entries[:6] if other is not entry)


def test_the_api_pages_through_all_posts(web: Web, clock: FakeClock) -> None:
    posts, cursor = [], ""
    while True:
        answer = web.get("/api/posts", params={"since": cursor, "limit": "100"}).json()
        if not answer["posts"]:
            break
        assert len(answer["posts"]) <= 100
        posts += answer["posts"]
        cursor = answer["next"]
    assert len(posts) > 500
    assert len({post["id"] for post in posts}) == len(posts)
    moments = [datetime.fromisoformat(post["created_at"]) for post in posts]
    assert moments == sorted(moments)
    assert moments[-1] < clock()
    assert all(set(post) == {"id", "text", "created_at", "author", "url"} for post in posts)
    assert posts[-1]["text"] in web.get(posts[-1]["url"]).text.replace("&#39;", "'").replace("&amp;", "&")


@pytest.mark.parametrize("query", ["since=x", "limit=many"])
def test_the_api_refuses_what_it_does_not_understand(web: Web, query: str) -> None:
    answer = web.get(f"/api/posts?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["/feeds/none.xml", "/wire/1-1/x", "/chirp/1-1", "/nowhere", "/ledger/x/y"])
def test_what_is_not_there_is_not_found(web: Web, path: str) -> None:
    assert web.get(path).status_code == 404


def test_an_article_of_another_outlet_is_not_found(web: Web) -> None:
    link = feedparser.parse(web.get("/feeds/wire.xml").content).entries[0].link
    assert web.get(link.replace("/wire/", "/ledger/")).status_code == 404


def test_robots_may_read_everything_but_accounts_and_search(web: Web) -> None:
    assert web.get("/robots.txt").text.splitlines() == ["User-agent: *", "Disallow: /account/", "Disallow: /search"]


def test_it_says_when_it_is_ready_and_what_is_going_on(web: Web, clock: FakeClock) -> None:
    started = int(START.timestamp())
    assert web.get("/ready").json() == {"ready": True, "seed": 8, "started": started, "phase": "run"}
    clock.forward(1000)
    assert web.get("/ready").json()["phase"] == "calm"
    assert "The Northgate Ledger" in web.get("/").text
