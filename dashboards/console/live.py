"""Pages kept live: rendered at most twice a second however many readers there are, and sent as what changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import NamedTuple

import msgspec

from dashboards.console.board import Board
from dashboards.console.render import Page, render_page
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
"""More than the windows times the topics: whoever asks for made-up topics cannot fill the memory."""


class Asked(NamedTuple):
    """Which page a reader wants."""

    window: str
    topic: str = ""


class _Made(NamedTuple):
    at: float
    version: int
    page: Page


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
        self._made: dict[Asked, _Made] = {}

    def view(self, asked: Asked) -> tuple[View, TopicView | None]:
        """The view as of now."""
        board = self.board
        now = board.now()
        view = build_view(board.state, board.connection, asked.window, self.settings, now)
        return view, build_topic_view(board.state, view, asked.topic, now) if asked.topic else None

    def page(self, asked: Asked) -> tuple[Page, int]:
        """The page and the board's version that it shows, which may be an interval old."""
        made = self._made.get(asked)
        if made is None or self._clock() - made.at >= self.pace.interval:
            if len(self._made) >= PAGES_KEPT:
                self._made.clear()
            version = self.board.version
            view, topic = self.view(asked)
            made = _Made(self._clock(), version, render_page(view, topic, asked.topic))
            self._made[asked] = made
        return made.page, made.version


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
