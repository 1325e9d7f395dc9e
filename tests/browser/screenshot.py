"""Pictures of the console: `python -m tests.browser.screenshot OUT.png [--url URL]`; without a URL, of made-up news."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta

from playwright.async_api import async_playwright

from dashboards.console.board import Board
from dashboards.console.explaining import Explainer
from dashboards.console.server import address_of, open_socket, serve
from dashboards.console.settings import ConsoleSettings
from dashboards.console.state import ConsoleState
from model.settings import ModelSettings
from tests.browser.chromium import ARGUMENTS, EXECUTABLE
from tests.browser.made_up import PARTITIONS, World

SETTINGS = ConsoleSettings(port=0)


def made_up_state(now: datetime) -> ConsoleState:
    """A state that has read the made-up world up to now."""
    world = World(end=now)
    state = ConsoleState(
        PARTITIONS, retained=SETTINGS.retained_minutes(), idle=timedelta(seconds=30), follow_clock=True
    )
    for bucket in world.buckets():
        state.put_bucket(bucket)
    state.loaded(now)
    for back in (60, 0):
        moment = now - timedelta(seconds=back)
        for checkpoint in world.checkpoints(behind=back // 9):
            state.put_checkpoint(checkpoint, moment, moment)
    for alert in world.alerts(state.table):
        state.put_alert(alert)
    return state


@asynccontextmanager
async def made_up_console() -> AsyncIterator[str]:
    """The address of a console that shows the made-up world."""
    board = Board(made_up_state(datetime.now(UTC)), now=lambda: datetime.now(UTC))
    board.connect("live")
    stop = asyncio.Event()
    with open_socket(SETTINGS) as listener, closing(Explainer(ModelSettings())) as explain:
        serving = asyncio.create_task(serve(board, SETTINGS, explain, listener, stop))
        yield address_of(listener)
        stop.set()
        await serving


async def take(url: str, out: str, *, scheme: str, width: int, height: int, full: bool) -> None:
    """Opens the page, lets it come alive and saves it as a PNG."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
        )
        await page.goto(url)
        await page.wait_for_selector("#topics tbody tr, .explain main")
        await page.wait_for_timeout(700)
        await page.screenshot(path=out, full_page=full)
        await browser.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--url", help="of a running console; else one with made-up news is started")
    parser.add_argument("--query", default="", help="as in ?window=24h&topic=Financials, without the question mark")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=1000)
    parser.add_argument("--full", action="store_true", help="the whole page, not only what fits")
    given = parser.parse_args()

    async def shoot(url: str) -> None:
        query = f"?{given.query}" if given.query else ""
        await take(url + query, given.out, scheme=given.scheme, width=given.width, height=given.height, full=given.full)

    if given.url:
        await shoot(given.url)
        return
    async with made_up_console() as url:
        await shoot(url)


if __name__ == "__main__":
    asyncio.run(_main())
