"""The console's routes: the page, its live events, the same as JSON, why a headline is negative, and the way in."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Send

from dashboards.console.board import Board
from dashboards.console.explaining import Explained, Question
from dashboards.console.live import Asked, Pages, events
from dashboards.console.render import HERE, render_document, render_explanation, render_sign_in
from dashboards.console.security import COOKIE, Guard, same, session_of
from dashboards.console.settings import ConsoleSettings
from model.errors import BundleError, FinSentryError, InputError

Explain = Callable[[Question], Explained]
"""Which words of a text made it negative; may take a second, and is called in a thread."""

SEND_SECONDS = 30.0
"""A reader that takes nothing for this long is gone; its place is given to another."""

LONGEST_TOPIC = 200
LONGEST_TEXT = 500
MOST_QUESTIONS = 4
"""Each takes a second at most; whoever comes then is told to come back."""
LARGEST_FORM = 4096


class EventStream(StreamingResponse):
    """A stream of server-sent events that gives up on a reader who takes nothing."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        async def within_time(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        try:
            await super().stream_response(within_time)
        except TimeoutError:
            return


class Console:
    """The request handlers over one board."""

    def __init__(self, board: Board, settings: ConsoleSettings, explain: Explain) -> None:
        self._board = board
        self._settings = settings
        self._explain = explain
        # Of its own, so that many questions hold up nothing but each other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self._asked_why = 0
        self._pages = Pages(board, settings)
        self._readers = 0

    async def page(self, request: Request) -> Response:
        asked = self._asked(request)
        page, _ = self._pages.page(asked)
        return HTMLResponse(render_document(page, opened=bool(asked.topic)))

    async def events(self, request: Request) -> Response:
        asked = self._asked(request)
        if self._readers >= self._settings.readers:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are open.", {"Retry-After": "10"})
        return EventStream(self._counted(asked), headers={"X-Accel-Buffering": "no"})

    async def _counted(self, asked: Asked) -> AsyncIterator[str]:
        self._readers += 1
        try:
            async for chunk in events(self._pages, asked):
                yield chunk
        finally:
            self._readers -= 1

    async def state(self, request: Request) -> Response:
        asked = self._asked(request)
        view, topic = self._pages.view(asked)
        answer = msgspec.to_builtins(view)
        if asked.topic:
            answer["topic"] = msgspec.to_builtins(topic)
        return Response(msgspec.json.encode(answer), media_type="application/json")

    async def explain(self, request: Request) -> Response:
        text = request.query_params.get("text", "").strip()[:LONGEST_TEXT]
        if not text:
            return HTMLResponse(render_explanation("", None, longest=LONGEST_TEXT))
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise HTTPException(HTTPStatus.FORBIDDEN, "Another site may not ask.")
        asked = request.query_params
        question = Question(text, asked.get("language"), _moment(asked.get("at")), _share(asked.get("negative")))
        if self._asked_why >= MOST_QUESTIONS:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "Others are asking too.", {"Retry-After": "5"})
        self._asked_why += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._explain, question)
        except FinSentryError as error:
            page = render_explanation(text, None, longest=LONGEST_TEXT, problem=str(error))
            # A bundle is what we gave; all other input is the reader's.
            theirs = isinstance(error, InputError) and not isinstance(error, BundleError)
            return HTMLResponse(page, HTTPStatus.UNPROCESSABLE_ENTITY if theirs else HTTPStatus.SERVICE_UNAVAILABLE)
        finally:
            self._asked_why -= 1
        return HTMLResponse(render_explanation(text, found, longest=LONGEST_TEXT))

    async def ready(self, _request: Request) -> Response:
        connection = self._board.connection
        live = connection.state == "live"
        status = HTTPStatus.OK if live else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"ready": live, "feed": connection.state, "detail": connection.detail}, status)

    async def sign_in(self, request: Request) -> Response:
        token = self._settings.token.get_secret_value()
        if not token:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if request.method == "GET":
            return HTMLResponse(render_sign_in(refused=False))
        given = parse_qs((await _body(request)).decode(errors="replace")).get("token", [""])[0]
        if not same(given, token):
            return HTMLResponse(render_sign_in(refused=True), HTTPStatus.UNAUTHORIZED)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", secure=secure)
        return response

    def _asked(self, request: Request) -> Asked:
        window = request.query_params.get("window", self._settings.window)
        if window not in self._settings.windows:
            known = ", ".join(self._settings.windows)
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"There is no such window; there are {known}.")
        topic = request.query_params.get("topic", "")
        if len(topic) > LONGEST_TOPIC:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "No topic has so long a name.")
        return Asked(window, topic)


def _moment(given: str | None) -> datetime | None:
    """As the links of the page write it."""
    try:
        moment = datetime.fromisoformat(given) if given is not None else None
    except ValueError:
        moment = None
    if given is not None and (moment is None or moment.tzinfo is None):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "That is no moment: write 2026-03-02T12:00:00Z.")
    return moment


def _share(given: str | None) -> float | None:
    """As the links of the page write it."""
    try:
        share = float(given) if given is not None else None
    except ValueError:
        share = math.nan
    if share is not None and not 0 <= share <= 1:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "That is no probability: write 0.97.")
    return share


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is no token.")
    return body


def create_app(board: Board, settings: ConsoleSettings, explain: Explain) -> Starlette:
    """The console over `board` as an ASGI application; `serve` in `server.py` runs it."""
    console = Console(board, settings, explain)
    return Starlette(
        routes=[
            Route("/", console.page),
            Route("/events", console.events, methods=["GET"]),
            Route("/api/state", console.state),
            Route("/explain", console.explain),
            Route("/ready", console.ready),
            Route("/sign-in", console.sign_in, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard, token=settings.token.get_secret_value())],
    )
