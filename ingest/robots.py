"""robots.txt as RFC 9309 reads it, remembered for a while."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from protego import Protego

from ingest.addresses import ForbiddenAddressError
from ingest.errors import FetchError, StoppingError
from ingest.urls import host_of, shown

MAX_BYTES = 512 * 1024
"""RFC 9309 asks for at least 500 KiB; what stands beyond is not read."""

MAX_DELAY_SECONDS = 60.0
"""A Crawl-delay of hours would only be a way to say no, for which there is Disallow."""

FAILED_SECONDS = 60.0
"""A robots.txt that the server fails to give, or not in time, means "no" (RFC 9309, 2.3.1.4), but is asked for again
soon; meanwhile articles of the site are missing. Where nobody listened it is asked for at once: that costs nothing, and
the server may come up."""

MANY_SITES = 1000
"""Beyond so many, the one that was asked longest ago is forgotten."""


class Answer(Protocol):
    """What came for robots.txt: a status and, for 200, a text."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...

    @property
    def retry_after(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Rules:
    until: float
    parsed: Protego | None = None
    """None: nothing may be fetched."""
    problem: str = ""
    quiet_until: float = 0.0
    """Until when the site asks to be left alone, where it said so."""


class Robots:
    """What the sites allow one user agent. Safe for several threads."""

    def __init__(
        self,
        get: Callable[[str], Answer],
        agent: str,
        *,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`get` fetches a robots.txt: any status is an answer; raises `FetchError` where there is none."""
        self._get = get
        self._agent = agent
        self._seconds = seconds
        self._monotonic = monotonic
        self._sites: dict[str, _Rules] = {}
        self._lock = Lock()

    def check(self, url: str) -> float:
        """The seconds that the site asks for between two requests. Raises `FetchError` where it forbids `url`."""
        rules = self._rules(url)
        if rules.parsed is None:
            raise FetchError(
                f"{shown(url)} is not fetched, since its site's robots.txt cannot be: {rules.problem}",
                retry_after=max(0.0, rules.quiet_until - self._monotonic()),
            )
        if not rules.parsed.can_fetch(url, self._agent):
            raise FetchError(
                f"{shown(url)} is forbidden by its site's robots.txt", fix="ask the site, or drop the source"
            )
        return min(rules.parsed.crawl_delay(self._agent) or 0.0, MAX_DELAY_SECONDS)

    def _rules(self, url: str) -> _Rules:
        site = f"{urlsplit(url).scheme}://{host_of(url)}"
        with self._lock:
            known = self._sites.get(site)
            if known is not None and self._monotonic() < known.until:
                return known
        rules = self._ask(urljoin(url, "/robots.txt"))
        with self._lock:
            self._sites.pop(site, None)  # so that they stand in the order in which they were asked
            if len(self._sites) >= MANY_SITES:
                del self._sites[next(iter(self._sites))]
            self._sites[site] = rules
        return rules

    def _ask(self, url: str) -> _Rules:
        try:
            answer = self._get(url)
        except (ForbiddenAddressError, StoppingError):
            raise
        except FetchError as error:
            now = self._monotonic()
            until = now + FAILED_SECONDS if error.timed_out else now
            return _Rules(until, problem=error.message, quiet_until=now + error.retry_after)
        now = self._monotonic()
        if answer.status >= 500 or answer.status == 429:
            quiet_until = now + answer.retry_after
            until = max(quiet_until, now + FAILED_SECONDS)
            return _Rules(until, problem=f"status {answer.status}", quiet_until=quiet_until)
        text = answer.body[:MAX_BYTES].decode("utf-8-sig", "replace") if answer.status == 200 else ""
        return _Rules(now + self._seconds, parsed=Protego.parse(text))
