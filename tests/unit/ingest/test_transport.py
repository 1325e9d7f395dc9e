"""The connection itself, against a server on loopback: checked addresses, and deadlines that hold."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from ingest.addresses import AddressGate, ForbiddenAddressError
from ingest.errors import FetchError, StoppingError
from ingest.http import Fetcher
from ingest.settings import IngestSettings
from ingest.transport import CheckedTransport, Deadline

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Answers every connection with `answer`, a list of pieces with a pause after each."""

    def __init__(self, *pieces: bytes, pause: float = 0.0) -> None:
        self.requests: list[bytes] = []
        self.pieces = pieces
        self._pause = pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, suppress(OSError):
                    self.requests.append(connection.recv(65536))
                    for piece in self.pieces:
                        connection.sendall(piece)
                        if self._ended.wait(self._pause):
                            return


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that end with the test."""
    servers: list[Server] = []

    def start(*pieces: bytes, pause: float = 0.0) -> Server:
        servers.append(Server(*pieces, pause=pause))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def fetcher(*allowed: str, timeout: float = 5.0, wait: Callable[[float], object] = time.sleep) -> Fetcher:
    settings = IngestSettings(host_delay_seconds=0.0, timeout_seconds=timeout, private_exceptions=allowed)
    return Fetcher(settings, wait=wait)


def test_an_exception_is_fetched_over_a_real_connection(serve: Serve) -> None:
    server = serve(HELLO)
    page = fetcher(f"127.0.0.1:{server.port}").fetch(f"http://127.0.0.1:{server.port}/a?b=c")
    assert page.body == b"hello"
    assert server.requests[-1].startswith(b"GET /a?b=c HTTP/1.1\r\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"])
def test_loopback_is_not_connected_to(serve: Serve, host: str) -> None:
    server = serve(HELLO)
    with pytest.raises(ForbiddenAddressError):
        fetcher().fetch(f"http://{host}:{server.port}/")
    assert server.requests == []


def test_a_redirect_into_the_private_network_is_not_followed(serve: Serve) -> None:
    inner = serve(HELLO)
    outer = serve(
        f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner.port}/x\r\nContent-Length: 0\r\n\r\n".encode()
    )
    with pytest.raises(ForbiddenAddressError, match=f"127.0.0.1:{inner.port}"):
        fetcher(f"127.0.0.1:{outer.port}").fetch(f"http://127.0.0.1:{outer.port}/", robots=False)
    assert inner.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(serve: Serve) -> None:
    server = serve(HELLO)
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]  # a name that means another address a moment later

    gate = AddressGate(exceptions=[f"a.example:{server.port}"], resolve=resolve)
    with httpx.Client(transport=CheckedTransport(gate, ssl.create_default_context(), Deadline(5.0))) as client:
        assert client.get(f"http://a.example:{server.port}/").text == "hello"
    assert asked == [("a.example", server.port)]
    assert f"Host: a.example:{server.port}".encode() in server.requests[0]


def test_the_next_address_is_tried_where_one_does_not_answer(serve: Serve) -> None:
    server = serve(HELLO)
    gate = AddressGate(allow_private=True, resolve=lambda *_: ["127.0.0.2", "127.0.0.1"])
    with httpx.Client(transport=CheckedTransport(gate, ssl.create_default_context(), Deadline(5.0))) as client:
        assert client.get(f"http://a.example:{server.port}/").text == "hello"


def test_nothing_listening_is_a_clear_error(serve: Serve) -> None:
    server = serve()
    server.close()
    with pytest.raises(FetchError, match="Connection refused"):
        fetcher(f"127.0.0.1:{server.port}").fetch(f"http://127.0.0.1:{server.port}/", robots=False)


def test_a_server_that_sends_a_byte_at_a_time_is_cut_off(serve: Serve) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000, pause=0.05)
    begun = time.monotonic()
    with pytest.raises(FetchError, match=r"longer than 0\.3 s"):
        fetcher(f"127.0.0.1:{server.port}", timeout=0.3).fetch(f"http://127.0.0.1:{server.port}/", robots=False)
    assert time.monotonic() - begun < 15.0  # all of it would take 50 s


def test_a_server_that_says_nothing_is_cut_off(serve: Serve) -> None:
    server = serve(b"", pause=30.0)
    with pytest.raises(FetchError, match=r"longer than 0\.3 s"):
        fetcher(f"127.0.0.1:{server.port}", timeout=0.3).fetch(f"http://127.0.0.1:{server.port}/", robots=False)


def test_a_page_that_ends_early_is_an_error(serve: Serve) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
    with pytest.raises(FetchError, match="could not be fetched"):
        fetcher(f"127.0.0.1:{server.port}").fetch(f"http://127.0.0.1:{server.port}/", robots=False)


def test_a_crawler_that_stops_lets_go_of_a_silent_server(serve: Serve) -> None:
    server = serve(b"", pause=30.0)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(StoppingError):
        fetcher(f"127.0.0.1:{server.port}", timeout=30.0, wait=stop.wait).fetch(
            f"http://127.0.0.1:{server.port}/", robots=False
        )
    assert time.monotonic() - begun < 15.0
