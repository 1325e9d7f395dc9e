"""The page follows the topics without a reload, whatever goes away in between."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deploy.local.kafka import EmbeddedKafka
from stream.broker import ensure_topics
from stream.topics import Topics
from tests.browser.conftest import OpenPage, StartConsole
from tests.browser.feeding import Writer, alert, resolved, story
from tests.browser.made_up import PARTITIONS

expect.set_options(timeout=30_000)
pytestmark = pytest.mark.timeout(300)  # three servers start and stop beside the browser


def mark(page: Page) -> None:
    """Leaves something in the page that a reload would wipe out."""
    page.evaluate("window.mark = 'still here'")


def assert_not_reloaded(page: Page) -> None:
    assert page.evaluate("window.mark") == "still here"


def test_topics_appear_and_change_without_a_reload(page: Page, writer: Writer) -> None:
    expect(page.locator("#status")).to_have_text("Waiting for the first documents…")
    mark(page)

    bad = story("Macro", "Factory orders fall again")
    calm = bad._replace(title="Prices hold", negative=False)
    writer.stories(bad, calm)
    row = page.locator("#topic-macro")
    expect(row).to_contain_text("50%")
    expect(page.locator("#status")).to_have_text("All calm")
    expect(page.locator("#headlines")).to_contain_text("Factory orders fall again")

    more = [bad._replace(title=f"Plant {number} closes") for number in range(3)]  # of the very minute
    writer.stories(*more, calm, applied=2)
    expect(row).to_contain_text("75%")
    assert_not_reloaded(page)


def test_an_alert_appears_with_its_headlines_and_resolves(page: Page, writer: Writer) -> None:
    mark(page)
    writer.stories(*(story("Financials", f"Bank {number} fails") for number in range(12)))
    firing = alert("Financials", "Depositors queue outside Calder Bank", "Regulator shuts down Meridian Trust")
    writer.alert(firing)

    expect(page.locator("#status")).to_have_text("Financials is firing")
    card = page.locator("#alerts article")
    expect(card).to_contain_text("Critical")
    expect(card).to_contain_text("41 of 66 stories in the last hour are negative (62%); usual is 15%.")
    expect(card).to_contain_text("for 25 min")
    expect(card).to_contain_text("Depositors queue outside Calder Bank")
    expect(page.locator("#topics tbody tr").first).to_contain_text("Critical")
    assert page.title() == "(1) Financials – FinSentry"
    assert page.locator("#icon").get_attribute("href") == "/static/critical.svg"

    writer.alert(resolved(firing))
    expect(page.locator("#status")).to_have_text("All calm")
    expect(page.locator("#alerts article")).to_have_count(0)
    expect(page.locator("#resolved")).to_contain_text("Financials")
    assert page.title() == "FinSentry"
    assert_not_reloaded(page)


def test_a_console_that_starts_later_shows_the_same(
    start_console: StartConsole, open_page: OpenPage, writer: Writer
) -> None:
    writer.stories(story("Macro", "Factory orders fall again"), story("Macro", "Prices hold", negative=False))
    writer.alert(alert("Macro", "Factory orders fall again"))
    first, second = (open_page(start_console().url) for _ in range(2))
    for page in (first, second):
        expect(page.locator("#status")).to_have_text("Macro is firing")
        expect(page.locator("#topic-macro")).to_contain_text("50%")


def test_the_page_outlives_a_restart_of_the_console(
    start_console: StartConsole, open_page: OpenPage, writer: Writer
) -> None:
    console = start_console()
    page = open_page(console.url)
    writer.stories(story("Macro", "Factory orders fall again"))
    expect(page.locator("#topic-macro")).to_contain_text("100%")
    mark(page)

    console.kill()
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#offline")).to_contain_text("The console does not answer since")
    start_console(port=console.port)
    expect(page.locator("#offline")).to_be_hidden()
    writer.stories(story("Markets", "Stocks slide"))
    expect(page.locator("#topic-markets")).to_contain_text("100%")
    assert_not_reloaded(page)


def test_a_page_too_many_says_so_and_goes_on_when_another_is_closed(
    start_console: StartConsole, open_page: OpenPage, writer: Writer
) -> None:
    console = start_console(readers=1)
    first = open_page(console.url)
    writer.stories(story("Macro", "Factory orders fall again"))
    expect(first.locator("#topic-macro")).to_contain_text("100%")
    page = open_page(console.url, expected="503")
    mark(page)
    expect(page.locator("#offline")).to_contain_text("Too many pages are open, and this one stands still since")
    expect(page.locator("#offline")).to_be_visible()
    first.close()
    expect(page.locator("#offline")).to_be_hidden()
    writer.stories(story("Markets", "Stocks slide"))
    expect(page.locator("#topic-markets")).to_contain_text("100%")
    assert_not_reloaded(page)


def test_a_lost_broker_is_shown_and_found_again(
    start_console: StartConsole, open_page: OpenPage, topics: Topics, tmp_path: Path
) -> None:
    with EmbeddedKafka(tmp_path / "own-kafka") as own:
        ensure_topics(own.settings, topics.all())
        page = open_page(start_console(own.settings).url)
        before = Writer(own.settings, topics)
        before.stories(story("Macro", "Factory orders fall again"))
        before.close()
        expect(page.locator("#topic-macro")).to_contain_text("100%")

        own.kill()
        expect(page.locator("#banner")).to_contain_text("Kafka does not answer")
        expect(page.locator("#status")).to_have_text("No connection to Kafka")
        expect(page.locator("#topic-macro")).to_contain_text("100%")

        own.start()
        expect(page.locator("#banner .banner")).to_have_count(0, timeout=30_000)
        after = Writer(own.settings, topics)
        after.stories(story("Markets", "Stocks slide"))
        after.close()
        expect(page.locator("#topic-markets")).to_contain_text("100%")
        expect(page.locator("#topic-macro")).to_contain_text("100%")


def test_a_console_without_a_broker_waits_for_it_and_stops_at_once(
    start_console: StartConsole, open_page: OpenPage, topics: Topics, tmp_path: Path
) -> None:
    with EmbeddedKafka(tmp_path / "own-kafka") as own:
        own.kill()
        console = start_console(own.settings)
        page = open_page(console.url)
        expect(page.locator("#banner")).to_contain_text("Kafka does not answer")
        own.start()
        expect(page.locator("#status")).to_have_text("Waiting for the first documents…")
        own.kill()
        expect(page.locator("#banner")).to_contain_text("Kafka does not answer")
        assert console.stop() == 0


def test_it_stops_within_seconds_with_pages_open(
    start_console: StartConsole, open_page: OpenPage, writer: Writer
) -> None:
    console = start_console()
    writer.stories(story("Macro", "Factory orders fall again"))
    for _ in range(3):
        expect(open_page(console.url).locator("#topic-macro")).to_be_visible()
    assert console.stop() == 0
    assert "timeout graceful shutdown exceeded" not in console.log.read_text(), "pages are told, and not cut off"


def test_event_time_goes_on_while_nothing_comes(page: Page, writer: Writer) -> None:
    now = datetime.now(UTC)
    watermark = now - timedelta(minutes=5, seconds=now.second - 58, microseconds=now.microsecond)
    writer.buckets([], watermark)
    reached = page.locator("#pipeline time").first
    expect(reached).to_be_visible()
    before = reached.get_attribute("datetime")
    assert before is not None
    # The minute may turn before the page has shown anything: then it is the next one.
    expect(reached).not_to_have_attribute("datetime", before, timeout=75_000)


def test_partitions_of_the_made_up_world_are_those_of_the_topics(topics: Topics) -> None:
    assert topics.windows.partitions == PARTITIONS
