import asyncio
import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

from dashboards.console.board import Board
from dashboards.console.live import Asked, Pace, Pages, events
from dashboards.console.render import FRAGMENTS, render_page
from tests.unit.dashboards.console.records import SETTINGS, alert, at, bucket, new_board, new_state, reach
from tests.unit.dashboards.console.test_view import filled

ASKED = Asked("1h")
QUICK = Pace(interval=0.02, refresh=0.01, keep_alive=0.05)


def pages_of(board: Board) -> Pages:
    return Pages(board, SETTINGS, pace=QUICK)


def read(chunk: str) -> dict[str, Any]:
    """What an update says, checked to be one well-formed event."""
    name, data, *end = chunk.split("\n")
    assert (name, end) == ("event: update", ["", ""])
    update: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return update


async def first(stream: AsyncIterator[str]) -> dict[str, Any]:
    assert await anext(stream) == "retry: 2000\n\n"
    return read(await anext(stream))


def test_the_first_event_is_the_whole_page() -> None:
    async def run() -> None:
        update = await first(events(pages_of(new_board(filled())), ASKED))
        assert set(update["fragments"]) == set(FRAGMENTS)
        assert (update["mood"], update["title"]) == ("calm", "FinSentry")

    asyncio.run(run())


def test_later_events_hold_only_what_changed() -> None:
    async def run() -> None:
        board = new_board(filled())
        stream = events(pages_of(board), ASKED)
        await first(stream)
        board.state.put_alert(alert("Macro"))
        board.changed()
        update = read(await anext(stream))
        assert update["mood"] == "critical"
        assert set(update["fragments"]) == {"status", "alerts", "topics"}

    asyncio.run(run())


def test_what_happens_between_two_events_is_one_event() -> None:
    async def run() -> None:
        board = new_board(filled())
        stream = events(pages_of(board), ASKED)
        await first(stream)
        for number in range(100):
            board.state.put_bucket(bucket("Macro", 51, stories=number, applied=number + 2))
            board.changed()
        update = read(await anext(stream))
        assert ">119<" in update["fragments"]["topics"]

    asyncio.run(run())


def test_events_come_no_faster_than_the_pace() -> None:
    async def run() -> None:
        board = new_board(filled())
        stream = events(pages_of(board), ASKED)
        await first(stream)
        began = monotonic()
        for number in range(1, 6):
            board.state.put_bucket(bucket("Macro", 51, stories=number, applied=number + 1))
            board.changed()
            read(await anext(stream))
        assert monotonic() - began >= 5 * QUICK.interval

    asyncio.run(run())


def test_a_quiet_stream_is_kept_alive() -> None:
    async def run() -> None:
        stream = events(pages_of(new_board(filled())), ASKED)
        await first(stream)
        assert await anext(stream) == ": still here\n\n"

    asyncio.run(run())


def test_what_only_time_changes_is_sent_without_a_record() -> None:
    async def run() -> None:
        state = new_state(follow_clock=True)
        state.put_bucket(bucket("Macro", 0))
        reach(state, 0)
        minutes = iter(range(5, 999))
        stream = events(pages_of(Board(state, now=lambda: at(next(minutes)))), ASKED)
        await first(stream)
        assert "pipeline" in read(await anext(stream))["fragments"]

    asyncio.run(run())


def test_a_closed_board_ends_every_stream() -> None:
    async def run() -> None:
        board = new_board(filled())
        stream = events(Pages(board, SETTINGS, pace=Pace(interval=0.01, refresh=60)), ASKED)
        await first(stream)
        ending = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        board.close()
        assert await asyncio.wait_for(ending, 5) is None

    asyncio.run(run())


def test_a_page_is_rendered_once_for_all_who_ask_within_half_a_second() -> None:
    clock = [0.0]
    pages = Pages(new_board(filled()), SETTINGS, clock=lambda: clock[0])
    page, version = pages.page(ASKED)
    pages.board.changed()
    assert pages.page(ASKED) == (page, version)
    clock[0] += Pace().interval
    assert pages.page(ASKED)[1] == version + 1


def test_pages_of_made_up_topics_do_not_pile_up() -> None:
    pages = Pages(new_board(filled()), SETTINGS)
    for number in range(300):
        pages.page(Asked("15m", f"nonsense {number}"))
    assert len(pages._looks["15m"].pages) <= 256


def test_the_board_is_looked_at_once_for_all_topics_that_are_opened() -> None:
    looks = iter(range(1, 99))
    board = Board(filled(), now=lambda: at(next(looks)))
    pages = Pages(board, SETTINGS, clock=lambda: 0.0)
    for topic in ("", "Macro", "Markets", "Nonsense"):
        pages.page(Asked("1h", topic))
        pages.view(Asked("1h", topic))
    assert next(looks) == 3, "one look when the board was made, and one for all of them"


@pytest.mark.parametrize("topic", ["", "Macro", "Nonsense"])
def test_a_page_with_an_opened_topic_is_as_if_it_had_been_rendered_alone(topic: str) -> None:
    pages = Pages(new_board(filled()), SETTINGS, clock=lambda: 0.0)
    asked = Asked("24h", topic)
    assert pages.page(asked)[0] == render_page(*pages.view(asked), topic)


def test_the_connection_stands_since_it_last_changed() -> None:
    async def run() -> None:
        minutes = iter(range(100))
        board = Board(filled(), now=lambda: at(next(minutes)))
        board.connect("lost", "refused")
        since, version = board.connection.since, board.version
        board.connect("lost", "refused")
        assert board.version == version
        board.connect("lost", "no route")
        assert (board.connection.since, board.connection.detail) == (since, "no route")
        board.connect("live")
        assert board.connection.since != since

    asyncio.run(run())
