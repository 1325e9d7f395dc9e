"""A real console over a real Kafka, and a real browser that is watched."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from stream.broker import BrokerSettings
from stream.topics import Topics
from tests.browser.chromium import ARGUMENTS, EXECUTABLE
from tests.browser.feeding import ConsoleProcess, Writer

StartConsole = Callable[..., ConsoleProcess]
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; where it is missing the tests fail."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def start_console(kafka: BrokerSettings, topics: Topics, tmp_path: Path) -> Iterator[StartConsole]:
    """Starts consoles with the settings given."""
    started: list[ConsoleProcess] = []

    def start(broker: BrokerSettings = kafka, **settings: object) -> ConsoleProcess:
        started.append(ConsoleProcess(broker, topics, tmp_path / "console.log", **settings))
        return started[-1]

    yield start
    for console in started:
        console.kill()


@pytest.fixture
def writer(kafka: BrokerSettings, topics: Topics) -> Iterator[Writer]:
    writer = Writer(kafka, topics)
    yield writer
    writer.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages in browsers of their own. Afterwards none may have asked another machine or found an error."""
    pages: list[Page] = []
    asked: list[str] = []
    complaints: list[str] = []

    def request(request: Request) -> None:
        asked.append(request.url)

    def open_(url: str, *, expected: str = "net::ERR", **options: object) -> Page:
        """`expected` stands in complaints that the test itself brings about: as a rule a console that it ended."""

        def note(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and expected not in message.text:
                complaints.append(message.text)

        context = browser.new_context(**options)  # type: ignore[arg-type]
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", request)
        page.set_default_timeout(30_000)
        page.goto(url)
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.context.close()
    assert complaints == []
    assert {urlsplit(url).hostname for url in asked} <= {"127.0.0.1"}


@pytest.fixture
def page(start_console: StartConsole, open_page: OpenPage) -> Page:
    """The page of a console over empty topics."""
    return open_page(start_console().url)
