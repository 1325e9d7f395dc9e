"""A web in memory for the tests of ingest: answers by URL, and a clock that waiting moves."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import httpx

from ingest.http import Fetcher
from ingest.settings import IngestSettings
from tests.unit.ingest.documents import NOW

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class FakeTime:
    """A monotonic clock that stands still but for `wait`, which notes how long it was asked to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.stopping = False
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens while somebody waits."""

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        if seconds > 0:
            self.waits.append(seconds)
            self.now += seconds
            self.meanwhile()
        return self.stopping


class Web:
    """Answers by URL, with or without its query; 404 for the rest. `asked` are the URLs in order."""

    def __init__(self, answers: Mapping[str, Answer] | None = None, settings: IngestSettings | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.requests: list[httpx.Request] = []
        self.time = FakeTime()
        self.settings = settings or IngestSettings(host_delay_seconds=0.0)
        self.clock: Callable[[], datetime] = lambda: NOW
        self.fetcher = Fetcher(
            self.settings,
            connect=lambda _: httpx.MockTransport(self._answer),
            wait=self.time.wait,
            monotonic=self.time.monotonic,
            clock=lambda: self.clock(),
        )

    @property
    def asked(self) -> list[str]:
        return [str(request.url) for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        url = str(request.url)
        answer = self.answers.get(url, self.answers.get(url.partition("?")[0], httpx.Response(404)))
        if isinstance(answer, Exception):
            raise answer
        response = answer if isinstance(answer, httpx.Response) else answer(request)
        if not response.is_stream_consumed:
            return response
        return httpx.Response(response.status_code, headers=response.headers, stream=_Pieces(response.content))


class _Pieces(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), 4096):
            yield self._body[start : start + 4096]


def raw(body: bytes, *, status: int = 200, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """An answer whose bytes go as they are; underscores in header names stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, headers=named, stream=_Pieces(body))
