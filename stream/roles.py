"""What every long-running role shows of itself over HTTP: `/metrics` for Prometheus and `/ready` for whoever waits."""

import logging
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app

from model.errors import FinSentryError

logger = logging.getLogger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Scrapes every few seconds are no news."""


class RoleServer:
    """Serves `/metrics` and `/ready` from a daemon thread, on loopback unless told otherwise.

    `/ready` answers 503 until `ready()` was called and 200 from then on. Port 0 takes a free one; `port` says which.
    """

    def __init__(
        self, role: str, port: int, *, host: str = "127.0.0.1", registry: CollectorRegistry = REGISTRY
    ) -> None:
        self.role = role
        self.port = port
        self._host = host
        self._metrics = make_wsgi_app(registry)
        self._is_ready = threading.Event()
        self._server: WSGIServer | None = None

    def start(self) -> None:
        """Begins to serve. Raises `FinSentryError` where the port is taken."""
        try:
            self._server = make_server(self._host, self.port, self._serve, _Server, _QuietHandler)
        except OSError as error:
            raise FinSentryError(
                f"{self.role}: cannot serve metrics on {self._host}:{self.port}: {error.strerror}",
                fix="end the process that holds the port, or set another one in section `metrics` of the settings",
            ) from error
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name=f"{self.role}-metrics", daemon=True).start()
        logger.info("serving metrics role=%s port=%d", self.role, self.port)

    def ready(self) -> None:
        """From now on `/ready` answers 200."""
        self._is_ready.set()

    def stop(self) -> None:
        """Ends serving; does nothing where it never began."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/ready":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        ready = self._is_ready.is_set()
        start_response("200 OK" if ready else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ready\n" if ready else b"starting\n"]
