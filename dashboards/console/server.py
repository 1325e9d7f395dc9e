"""The process of the console: a socket, the feed and uvicorn, until it is told to stop."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import uvicorn
import uvloop

from dashboards.console.app import Explain, create_app
from dashboards.console.board import Board
from dashboards.console.explaining import Explainer
from dashboards.console.feed import Feed, empty_state, utc_now
from dashboards.console.settings import ConsoleSettings
from model.errors import FinSentryError
from model.settings import ModelSettings
from stream.broker import BrokerSettings
from stream.roles import RoleServer
from stream.settings import StreamSettings
from stream.topics import Topics

logger = logging.getLogger(__name__)

STOP_SECONDS = 3
"""Live pages end within half a second of being told; this is for those that do not take it."""


class _Server(uvicorn.Server):
    """A uvicorn that leaves the process's signals to whoever runs the console."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_socket(settings: ConsoleSettings) -> socket.socket:
    """A socket that listens where the settings say. Raises `FinSentryError` where the port is taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        raise FinSentryError(
            f"the console cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            fix="end the process that holds the port, or set console.port and console.host to others",
        ) from error


def address_of(listener: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - read here, not bound
        host = "localhost"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def serve(
    board: Board, settings: ConsoleSettings, explain: Explain, listener: socket.socket, stop: asyncio.Event
) -> None:
    """Serves the board on a listening socket until `stop` is set; open live pages end with it."""
    config = uvicorn.Config(
        create_app(board, settings, explain),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        board.close()
        server.should_exit = True

    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(end())
        await server.serve(sockets=[listener])
        ending.cancel()


async def _run(
    board: Board, feed: Feed, settings: ConsoleSettings, explain: Explain, listener: socket.socket, role: RoleServer
) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(feed.run()), tasks.create_task(_announce(board, role))]
        await serve(board, settings, explain, listener, stop)
        for task in beside:
            task.cancel()


async def _announce(board: Board, role: RoleServer) -> None:
    while board.connection.state != "live":
        if board.closed:  # nothing to wait for: another round would never let go of the loop
            return
        await board.wait(board.version, 1.0)
    role.ready()
    logger.info("ready role=console")


def run_console(
    broker: BrokerSettings,
    topics: Topics,
    settings: ConsoleSettings,
    stream: StreamSettings,
    model: ModelSettings,
    role: RoleServer,
    *,
    listening: Callable[[str], None] = lambda _address: None,
) -> None:
    """Reads the topics and serves the page until SIGINT or SIGTERM; `listening` is told the page's address.

    The page is there at once and says whether it is still reading or no broker answers; it is ready once everything
    is read. Raises `BrokerError` where no broker is configured and `FinSentryError` where a port is taken.
    """
    broker.servers()
    listener = open_socket(settings)
    board = Board(empty_state(topics, settings, stream), now=utc_now)
    with listener, closing(Explainer(model)) as explain:
        feed = Feed(broker, topics, board, lambda: empty_state(topics, settings, stream), explain.heed)
        role.start()
        listening(address_of(listener))
        try:
            uvloop.run(_run(board, feed, settings, explain, listener, role))
        finally:
            role.stop()
