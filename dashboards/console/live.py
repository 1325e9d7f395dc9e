"""Pages kept live: rendered at most twice a second however many readers there are, and sent as what changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from time import monotonic
from typing import NamedTuple

import msgspec

from dashboards.console.board import Board
from dashboards.console.render import Page, open_topic, render_page
from dashboards.console.settings import ConsoleSettings
from dashboards.console.view import TopicView, View, build_topic_view, build_view


class Pace(NamedTuple):
    """How often pages are made and sent, in seconds."""

    interval: float = 0.5
    """Between two pages: a person cannot read numbers that change more often than twice a second."""
    refresh: float = 2.0
    """Without a change: event time goes on by the clock while every partition is idle."""
    keep_alive: float = 15.0
    """Without a word: below the shortest idle timeout that proxies have by default."""


UNHURRIED = Pace()

RETRY_MILLISECONDS = 2000

PAGES_KEPT = 256
"""Of one window, and more than there are topics: whoever asks for made-up topics cannot fill the memory."""


class Asked(NamedTuple):
    """Which page a reader wants."""

    window: str
    topic: str = ""


class _Look(NamedTuple):
    """The board as it was at a time of the clock, and what was made of it."""

    at: float
    now: datetime
    version: int
    view: View
    pages: dict[str, Page]
    """By the opened topic."""


class Pages:
    """Views and pages of a board, made anew as often as the pace allows."""

    def __init__(
        self,
        board: Board,
        settings: ConsoleSettings,
        *,
        pace: Pace = UNHURRIED,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.board = board
        self.settings = settings
        self.pace = pace
        self._clock = clock
        self._looks: dict[str, _Look] = {}
        """By window."""

    def view(self, asked: Asked) -> tuple[View, TopicView | None]:
        """The view, which may be an interval old."""
        look = self._look(asked.window)
        return look.view, self._opened(look, asked.topic)

    def page(self, asked: Asked) -> tuple[Page, int]:
        """The page and the board's version that it shows, which may be an interval old."""
        look = self._look(asked.window)
        return self._page(look, asked.topic), look.version

    def _look(self, window: str) -> _Look:
        """One for all who ask for this window within an interval, whatever topic they open."""
        look = self._looks.get(window)
        if look is None or self._clock() - look.at >= self.pace.interval:
            board = self.board
            now, version = board.now(), board.version
            view = build_view(board.state, board.connection, window, self.settings, now)
            look = self._looks[window] = _Look(self._clock(), now, version, view, {})
        return look

    def _opened(self, look: _Look, topic: str) -> TopicView | None:
        return build_topic_view(self.board.state, look.view, topic, look.now) if topic else None

    def _page(self, look: _Look, topic: str) -> Page:
        page = look.pages.get(topic)
        if page is None:
            if topic:  # most of a page is the same whichever is opened
                page = open_topic(self._page(look, ""), look.view, self._opened(look, topic), topic)
            else:
                page = render_page(look.view, None)
            if len(look.pages) >= PAGES_KEPT:
                look.pages.clear()
            look.pages[topic] = page
        return page


def event(page: Page, fragments: dict[str, str]) -> str:
    """One server-sent event with what changed; JSON keeps line breaks out of it."""
    data = msgspec.json.encode({"title": page.title, "mood": page.mood, "fragments": fragments})
    return f"event: update\ndata: {data.decode()}\n\n"


async def events(pages: Pages, asked: Asked) -> AsyncIterator[str]:
    """A reader's stream: first the whole page, then what changed, until the board is closed.

    It looks at the board only when it is asked for more, so a slow reader skips what came in between and nothing
    is kept for him.
    """
    board, pace = pages.board, pages.pace
    sent: dict[str, str] = {}
    spoke = monotonic()
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    while not board.closed:
        page, version = pages.page(asked)
        changed = {name: html for name, html in page.fragments.items() if sent.get(name) != html}
        if changed:
            yield event(page, changed)
            sent |= changed
            spoke = monotonic()
        elif monotonic() - spoke >= pace.keep_alive:
            yield ": still here\n\n"
            spoke = monotonic()
        await asyncio.sleep(pace.interval)
        await board.wait(version, pace.refresh)
