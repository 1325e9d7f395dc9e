"""What a reader does with the page: by mouse, by keyboard, on a phone, without scripts."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from playwright.sync_api import Page, expect

from deploy.local.kafka import EmbeddedKafka
from model.bundle import DEFAULT_BUNDLE, Bundle, Temperatures, write_manifest
from stream.broker import BrokerSettings, ensure_topics
from stream.control import promote
from stream.control_desk import ControlDesk
from stream.records import BundleRef
from stream.topics import Topics, TopicSettings
from stream.windows import WindowTable
from tests.browser.conftest import OpenPage, StartConsole
from tests.browser.feeding import ConsoleProcess, Writer, alert, story
from tests.browser.made_up import World
from tests.integration.logs import wait_until

expect.set_options(timeout=30_000)
pytestmark = pytest.mark.timeout(300)

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"'&lt;b&gt;"
PHONE = {"width": 360, "height": 740}


class News(NamedTuple):
    """A console that shows a day of made-up news, and the way to more of it."""

    url: str
    writer: Writer


@pytest.fixture(scope="module")
def news(embedded_kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[News]:
    broker = embedded_kafka.settings
    topics = Topics(TopicSettings(prefix="news."))
    ensure_topics(broker, topics.all())
    writer = Writer(broker, topics)
    world = World(end=datetime.now(UTC), days=1)
    table, buckets = WindowTable(), list(world.buckets())
    for entry in buckets:
        table.put(entry)
    writer.buckets(buckets, world.end)
    for alarm in world.alerts(table):
        writer.alert(alarm)
    console = ConsoleProcess(broker, topics, tmp_path_factory.mktemp("news") / "console.log")
    yield News(console.url, writer)
    console.kill()
    writer.close()


def overflow(page: Page) -> int:
    """How far the page, or what is opened over it, reaches beyond the window's right edge."""
    return int(
        page.evaluate(
            """() => Math.max(...[document.documentElement, document.getElementById("dialog")]
                .map((element) => element.scrollWidth - element.clientWidth))"""
        )
    )


def overflow_of_document(page: Page) -> int:
    return int(page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_click_opens_a_topic_over_the_page(news: News, open_page: OpenPage) -> None:
    page = open_page(news.url)
    page.locator("#topic-financials a").click()
    dialog = page.get_by_role("dialog", name="Financials")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("img", name="Negative share, now")).to_be_visible()
    expect(dialog).to_contain_text("Most negative headlines of the last hour")
    expect(dialog.locator(".headlines li").first).to_be_visible()
    assert page.url == f"{news.url}?window=1h&topic=Financials"


def test_an_address_with_a_topic_opens_it(news: News, open_page: OpenPage) -> None:
    page = open_page(f"{news.url}?window=24h&topic=M%26A%20%7C%20Investments")
    dialog = page.get_by_role("dialog", name="M&A | Investments")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("in the last 24 hours")
    expect(page.locator("#windows [aria-current]")).to_have_text("24h")


def test_escape_closes_and_back_opens_again(news: News, open_page: OpenPage) -> None:
    page = open_page(news.url)
    page.locator("#topic-macro a").click()
    expect(page.get_by_role("dialog", name="Macro")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("topic"))
    page.go_back()
    expect(page.get_by_role("dialog", name="Macro")).to_be_visible()
    page.locator("#dialog").get_by_role("link", name="Close", exact=True).click()
    expect(page.locator("#dialog")).to_be_hidden()


def test_a_click_beside_the_dialog_closes_it(news: News, open_page: OpenPage) -> None:
    page = open_page(f"{news.url}?topic=Macro")
    expect(page.get_by_role("dialog", name="Macro")).to_be_visible()
    page.mouse.click(20, 300)
    expect(page.locator("#dialog")).to_be_hidden()


def test_a_topic_can_be_opened_with_the_keyboard_and_stays_focused(news: News, open_page: OpenPage) -> None:
    page = open_page(news.url)
    link = page.locator("#topic-macro a")
    link.focus()
    news.writer.stories(story("Macro", "One more", ago=0), applied=99)
    expect(page.locator("#headlines")).to_contain_text("One more")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Macro")).to_be_visible()


def test_an_opened_topic_stays_live(news: News, open_page: OpenPage) -> None:
    page = open_page(f"{news.url}?topic=Dividend")
    expect(page.get_by_role("dialog", name="Dividend")).to_be_visible()
    news.writer.alert(alert("Dividend", "Payouts cut across the board"))
    expect(page.get_by_role("dialog", name="Dividend")).to_contain_text("41 of 66 stories")


def test_another_window_shows_other_numbers(news: News, open_page: OpenPage) -> None:
    page = open_page(news.url)
    stories = page.locator("#topic-markets td.right").first
    expect(stories).to_be_visible()
    hour = int(stories.inner_text())
    page.get_by_role("link", name="24h").click()
    expect(page.locator("#windows [aria-current]")).to_have_text("24h")
    expect(stories).not_to_have_text(str(hour))
    assert int(stories.inner_text()) > 5 * hour
    assert page.url == f"{news.url}?window=24h"


@pytest.mark.parametrize("query", ["", "?topic=Financials", "?window=7d&topic=Treasuries%20%7C%20Corporate%20Debt"])
def test_a_narrow_window_needs_no_scrolling_sideways(news: News, open_page: OpenPage, query: str) -> None:
    page = open_page(news.url + query, viewport=PHONE)
    expect(page.locator("#topic-financials")).to_be_attached()
    assert overflow(page) <= 0


def test_what_strangers_wrote_stays_text(start_console: StartConsole, open_page: OpenPage, writer: Writer) -> None:
    writer.stories(story("Macro", HOSTILE))
    writer.alert(alert("Macro", HOSTILE))
    page = open_page(f"{start_console().url}?topic=Macro", viewport=PHONE)
    expect(page.locator("#headlines .title").first).to_have_text(HOSTILE)
    expect(page.locator("#alerts .title").first).to_have_text(HOSTILE)
    expect(page.locator("#detail .title").first).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, dialog img").count() == 0
    assert overflow(page) <= 0


def test_times_are_the_readers_and_utc_is_kept(news: News, open_page: OpenPage) -> None:
    page = open_page(news.url, timezone_id="Asia/Tokyo", locale="en-GB")
    since = page.locator("#alerts time").first
    expect(since).to_be_visible()
    moment = datetime.fromisoformat(since.get_attribute("datetime") or "")
    hour = f"{(moment.hour + 9) % 24:02}:{moment.minute:02}"
    expect(since).to_contain_text(hour)
    assert since.get_attribute("title") == f"{moment:%d %b %Y %H:%M} UTC"


def test_without_scripts_the_page_shows_everything(news: News, open_page: OpenPage) -> None:
    with_scripts = open_page(news.url)
    expect(with_scripts.locator("#topic-financials")).to_be_visible()
    page = open_page(f"{news.url}?topic=Financials", java_script_enabled=False)
    assert "firing" in page.locator("#status").inner_text()
    assert page.locator("#topics tbody tr").count() == 20
    assert page.locator("#detail .headlines li").count() > 3
    page.get_by_role("link", name="Close", exact=True).click()
    assert page.locator("#dialog").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(news: News, open_page: OpenPage, scheme: str) -> None:
    page = open_page(f"{news.url}?topic=Financials", color_scheme=scheme)
    expect(page.get_by_role("dialog", name="Financials")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []


def test_a_click_on_the_probability_says_why(news: News, open_page: OpenPage) -> None:
    page = open_page(news.url)
    headline = page.locator("#headlines li").first
    title = headline.locator(".title").inner_text()
    headline.locator("a.negative").click()
    expect(page.get_by_role("heading", name="Why negative?")).to_be_visible()
    expect(page.get_by_label("Headline")).to_have_value(title)
    assert page.locator(".words").inner_text().split() == title.split()
    assert page.locator("tbody tr").count() == len(title.split())
    assert overflow_of_document(page) <= 0


def test_the_bundle_that_is_live_says_why_and_where_it_cannot_the_page_says_so(
    start_console: StartConsole,
    open_page: OpenPage,
    writer: Writer,
    kafka: BrokerSettings,
    topics: Topics,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "candidate"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    old = Bundle.load(folder).manifest
    new = write_manifest(folder, msgspec.structs.replace(old, version="candidate", temperatures=Temperatures(topic=9)))
    at = datetime.now(UTC) - timedelta(minutes=5)
    writer.stories(story("Macro", "Factory orders fall again"))
    page = open_page(start_console().url)
    why = page.locator("#headlines a.negative").first
    why.click()
    expect(page.locator(".verdict small")).to_have_text(old.version)
    # The story's number is made up: what is said is that another text may have made it, and nothing of bundles.
    alone = page.get_by_role("note").filter(has_text="This explains the headline alone")
    expect(alone).to_have_count(1)
    expect(page.get_by_role("note")).to_have_count(1)

    with ControlDesk(kafka, topics) as desk:
        live = promote(BundleRef(folder=str(folder), version=new.version, digest=new.digest), None, at)
        desk.publish(live)
        explained = page.locator(".verdict small").filter(has_text=new.version)
        wait_until(lambda: page.reload() is not None and explained.count() > 0, seconds=60, what="the new one explains")
        expect(alone).to_have_count(1)
        expect(page.get_by_role("note")).to_have_count(1)

        gone = BundleRef(folder=str(tmp_path / "gone"), version="gone-1")
        desk.publish(promote(gone, live, at))
    note = page.get_by_role("note").filter(has_text="gone-1 is live, but could not be opened here")
    wait_until(lambda: page.reload() is not None and note.count() > 0, seconds=60, what="the page says so")
    expect(page.locator(".verdict small")).to_have_text(new.version)
    assert page.evaluate(CONTRASTS) == []
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    assert overflow_of_document(page) <= 0


def test_who_has_the_token_signs_in(start_console: StartConsole, open_page: OpenPage, writer: Writer) -> None:
    writer.stories(story("Macro", "Factory orders fall again"))
    page = open_page(start_console(token="a-token-of-some-length").url, expected="401 (Unauthorized)")
    page.get_by_label("Token").fill("wrong")
    with page.expect_response("**/sign-in") as refused:
        page.get_by_role("button", name="Sign in").click()
    assert refused.value.status == 401
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    page.get_by_label("Token").fill("a-token-of-some-length")
    page.keyboard.press("Enter")
    expect(page.locator("#topic-macro")).to_contain_text("100%")


CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, .sr, .skip")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.className} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""
"""Texts whose contrast is below the 4.5 that WCAG 2 asks for (level AA)."""
