"""The polite fetcher: http(s) only, public addresses only, within limits, at each site's pace and by its robots.txt."""

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from urllib.parse import urlsplit

import httpcore
import httpx

from ingest.addresses import AddressGate
from ingest.errors import FetchError, StoppingError
from ingest.robots import MAX_DELAY_SECONDS, Robots
from ingest.settings import IngestSettings
from ingest.transport import CheckedTransport, Deadline
from ingest.urls import host_of, shown

LONGEST_WAIT_SECONDS = 30.0
"""A turn that is further away is an error with `retry_after`: a thread is not kept for it. But a site may be slower."""

MANY_HOSTS = 1000
"""Beyond so many, those whose turn has come are forgotten."""

_BROKEN = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,
    UnicodeError,  # idna's, for a host such as xn--0
)

_TIMED_OUT = (httpx.TimeoutException, httpcore.TimeoutException)

Connect = Callable[[Deadline], httpx.BaseTransport]


@dataclass(frozen=True, slots=True)
class Page:
    """What a URL answered with."""

    url: str
    """After redirects."""
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    retry_after: float = 0.0
    """Seconds for which it asks to be left alone, within `max_backoff_seconds`."""

    @property
    def unchanged(self) -> bool:
        """Whether the server says that it is as the validators sent along describe it."""
        return self.status == 304


@dataclass(frozen=True, slots=True)
class Validators:
    """By which a server sees that its client has the newest version: RFC 9110, 8.8."""

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, page: Page) -> "Validators":
        """Those of a page that can be sent back: a header of a request is printable ASCII."""
        etag, modified = (page.headers.get(name, "") for name in ("etag", "last-modified"))
        return cls(_sendable(etag), _sendable(modified))

    def headers(self) -> dict[str, str]:
        both = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in both.items() if value}


class Fetcher:
    """Fetches pages. Safe for several threads; requests to one host are `host_delay_seconds` apart or more."""

    def __init__(
        self,
        settings: IngestSettings,
        *,
        connect: Connect | None = None,
        wait: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`connect` gives the transport of one fetch, for tests; `wait` sleeps, and a true result means "give up"."""
        self._settings = settings
        self._connect = connect or _checked_connect(settings)
        self._wait = wait
        self._monotonic = monotonic
        self._clock = clock
        self._agent = f"{settings.user_agent} ({settings.contact})" if settings.contact else settings.user_agent
        self._turns = _Turns(monotonic)
        self._robots = Robots(
            lambda url: self._follow(url, {}, robots=False),
            settings.user_agent.partition("/")[0],
            seconds=settings.robots_hours * 3600,
            monotonic=monotonic,
        )

    def fetch(
        self,
        url: str,
        *,
        validators: Validators | None = None,
        headers: Mapping[str, str] | None = None,
        robots: bool = True,
    ) -> Page:
        """The page at `url`, or an `unchanged` one.

        Raises `FetchError` naming the URL where it is not allowed, too long, too slow or an error; `retry_after` is
        what the server asks for, within `max_backoff_seconds`.
        """
        sent = dict(headers or {}) | (validators.headers() if validators else {})
        page = self._follow(url, sent, robots=robots)
        if page.status not in (200, 304):
            raise FetchError(
                f"{shown(page.url)} answered with status {page.status}",
                status=page.status,
                retry_after=page.retry_after,
            )
        return page

    def _follow(self, url: str, headers: Mapping[str, str], *, robots: bool) -> Page:
        """The first answer that is no redirect, whatever its status."""
        deadline = Deadline(self._settings.timeout_seconds, self._monotonic, lambda: bool(self._wait(0)))
        try:
            with httpx.Client(transport=self._connect(deadline), trust_env=False, timeout=deadline.seconds) as client:
                asked = {"User-Agent": self._agent, "Accept-Encoding": "gzip", **headers}
                request: httpx.Request | None = client.build_request("GET", url, headers=asked)
                for _ in range(self._settings.max_redirects + 1):
                    assert request is not None
                    self._admit(str(request.url), robots=robots)
                    deadline.restart()
                    response = client.send(request, stream=True, follow_redirects=False)
                    try:
                        if not response.has_redirect_location:
                            return self._page(response)
                        request = response.next_request
                    finally:
                        response.close()
        except _BROKEN as error:
            raise FetchError(
                f"{shown(url)} could not be fetched: {error or type(error).__name__}",
                timed_out=isinstance(error, _TIMED_OUT),
            ) from error
        raise FetchError(f"{shown(url)} redirects more than {self._settings.max_redirects} times")

    def _admit(self, url: str, *, robots: bool) -> None:
        """Waits for the host's turn. Raises `FetchError` where the URL must not be fetched, or not for long."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchError(f"{shown(url)} is no http or https address")
        delay = max(self._robots.check(url) if robots else 0.0, self._settings.host_delay_seconds)
        # Never refuse a wait that the site's own Crawl-delay imposes. robots.txt itself, and an API that is exempt, are
        # fetched without that delay being known, so they may wait up to `MAX_DELAY_SECONDS`.
        longest = max(LONGEST_WAIT_SECONDS, delay, 0.0 if robots else MAX_DELAY_SECONDS)
        host = host_of(url)
        due, pause = self._turns.take(host, delay, longest)
        if pause <= longest:
            if pause > 0 and self._wait(pause):
                raise StoppingError(f"{shown(url)} is not fetched: the crawler stops")
            pause = self._turns.held(host, due)  # by an answer that came meanwhile, to another thread
            if not pause:
                return
        raise FetchError(
            f"{shown(url)} must wait: its host wants to be left alone for {pause:.0f} s", retry_after=pause
        )

    def _page(self, response: httpx.Response) -> Page:
        limit = self._settings.max_response_bytes
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = bytearray()
        if response.status_code != 200:
            asked = self._hold_off(response.status_code, str(response.url), headers)
            return Page(str(response.url), response.status_code, headers=headers, retry_after=asked)
        length = headers.get("content-length", "")
        if length.isdecimal() and float(length) > limit:  # Python makes no int of more than 4,300 digits
            raise _too_long(response.url, limit)
        for piece in _unpacked(response, limit + 1):
            body += piece
            if len(body) > limit:
                raise _too_long(response.url, limit)
        return Page(str(response.url), response.status_code, bytes(body), headers)

    def _hold_off(self, status: int, url: str, headers: Mapping[str, str]) -> float:
        """The seconds of `Retry-After`, which nothing else is sent to the host for; 0 where there is none.

        At most `max_backoff_seconds`: a mistaken header must not silence a source for ever.
        """
        if status not in (429, 503):
            return 0.0
        asked = retry_after(headers.get("retry-after", ""), self._clock())
        seconds = min(asked, self._settings.max_backoff_seconds)
        if seconds > 0:
            self._turns.hold(host_of(url), seconds)
        return seconds


class _Turns:
    """When each host may be asked again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._next: dict[str, float] = {}
        self._held: dict[str, float] = {}
        """Until when a host wants to be left alone, by those too whose turn comes sooner."""
        self._lock = Lock()

    def take(self, host: str, delay: float, longest: float) -> tuple[float, float]:
        """The moment of this caller's turn and the seconds until then. It is taken unless they are above `longest`."""
        with self._lock:
            now = self._monotonic()
            due = max(now, self._next.get(host, now), self._held.get(host, now))
            if due - now <= longest:
                self._next = _still_ahead(self._next, now)
                self._next[host] = due + delay
            return due, due - now

    def hold(self, host: str, seconds: float) -> None:
        with self._lock:
            now = self._monotonic()
            self._held = _still_ahead(self._held, now)
            self._held[host] = max(self._held.get(host, 0.0), now + seconds)

    def held(self, host: str, due: float) -> float:
        """Seconds for which the host is still to be left alone by one whose turn was `due`; 0 where it is not."""
        with self._lock:
            until = self._held.get(host, 0.0)
            return max(0.0, until - self._monotonic()) if until > due else 0.0


def _still_ahead(moments: dict[str, float], now: float) -> dict[str, float]:
    """The moments of the hosts, without those that have passed where they are many."""
    return moments if len(moments) < MANY_HOSTS else {host: at for host, at in moments.items() if at > now}


def retry_after(value: str, now: datetime) -> float:
    """The seconds that a `Retry-After` header asks for, as a number or a date; 0 where it says nothing."""
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the year has 20 digits
        return 0.0
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, (moment - now).total_seconds())


def _checked_connect(settings: IngestSettings) -> Connect:
    gate = AddressGate(allow_private=settings.allow_private_addresses, exceptions=settings.private_exceptions)
    context = httpx.create_ssl_context()
    return lambda deadline: CheckedTransport(gate, context, deadline)


def _too_long(url: httpx.URL, limit: int) -> FetchError:
    return FetchError(
        f"{shown(str(url))} is longer than {limit:,} bytes", fix="raise ingest.max_response_bytes if that is meant"
    )


def _sendable(value: str) -> str:
    return value if value.isascii() and value.isprintable() else ""


def _unpacked(response: httpx.Response, most: int) -> Iterator[bytes]:
    """The body in pieces. Those of a packed one are at most `most` bytes long; one of that length may be a part.

    Ours, since httpx's decoder inflates a chunk whatever comes of it.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return response.iter_raw()
    if encoding not in ("gzip", "x-gzip"):
        raise FetchError(f"{shown(str(response.url))} is encoded as {encoding!r}, which was not asked for")
    return _gunzipped(response.iter_raw(), most, response.url)


def _gunzipped(chunks: Iterator[bytes], most: int, url: httpx.URL) -> Iterator[bytes]:
    """Every member of the data (RFC 1952, 2.2). Raises `FetchError` where it is no gzip, or breaks off."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    begun = False
    for chunk in chunks:
        while chunk:
            if member.eof:
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            begun = True
            try:
                piece = member.decompress(chunk, most)
            except zlib.error as error:
                raise FetchError(f"{shown(str(url))} is no valid gzip data: {error}") from error
            yield piece
            chunk = member.unconsumed_tail or member.unused_data
    if begun and not member.eof:
        raise FetchError(f"{shown(str(url))} breaks off in the middle of its gzip data")
