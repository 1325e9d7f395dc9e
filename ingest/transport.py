"""How bytes come from the web: a connection to an address that was checked, and a deadline that nothing outlives."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore
import httpx

from ingest.addresses import AddressGate
from ingest.errors import StoppingError

CONNECT_SECONDS = 10.0
"""A host that answers at all does so in this time; what is left goes to its next address."""

PATIENCE_SECONDS = 1.0
"""How long a read sleeps before it looks whether the crawler stops."""


class Deadline:
    """The moment at which a request has taken too long."""

    def __init__(
        self,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """`given_up` says whether nobody waits for the request any more."""
        self.seconds = seconds
        self._monotonic = monotonic
        self._given_up = given_up
        self.restart()

    def restart(self) -> None:
        """Puts it `seconds` from now: for the next request, after its turn was waited for."""
        self._at = self._monotonic() + self.seconds

    def left(self) -> float:
        """Seconds left. Raises `httpcore.ReadTimeout` where there are none, `StoppingError` where it is given up."""
        if self._given_up():
            raise StoppingError("the crawler stops")
        left = self._at - self._monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"it took longer than {self.seconds:g} s")
        return left


class CheckedTransport(httpx.BaseTransport):
    """An httpx transport for one fetch with its redirects.

    Names are resolved here, once for each connection, and the connection goes to the address that was checked: a name
    cannot mean another address a moment later. TLS and `Host` still go by the name.
    """

    def __init__(self, gate: AddressGate, context: ssl.SSLContext, deadline: Deadline) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, network_backend=_CheckedBackend(gate, deadline), max_keepalive_connections=0
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Stream(response))

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _CheckedBackend(httpcore.NetworkBackend):
    def __init__(self, gate: AddressGate, deadline: Deadline) -> None:
        self._gate = gate
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._gate.addresses(host, port):
            patience = min(CONNECT_SECONDS, self._deadline.left())
            try:
                stream = self._inner.connect_tcp(address, port, patience, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _DeadlineStream(stream, self._deadline)
        raise problem


class _DeadlineStream(httpcore.NetworkStream):
    """A stream on which a server that sends one byte a second does not get beyond the deadline.

    The timeouts of single steps that httpcore passes along are the deadline's seconds again, so it alone counts.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        while True:
            left = self._deadline.left()
            try:
                return self._stream.read(max_bytes, min(PATIENCE_SECONDS, left))
            except httpcore.ReadTimeout:
                continue  # until the deadline itself has passed

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._deadline.left())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _DeadlineStream(secured, self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
