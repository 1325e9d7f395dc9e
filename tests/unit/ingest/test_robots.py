"""How many sites' rules are kept, and how much of them; what they allow is in `test_http.py`."""

from dataclasses import dataclass

import pytest

from ingest.addresses import ForbiddenAddressError
from ingest.errors import FetchError
from ingest.robots import MANY_SITES, MAX_BYTES, Robots


@dataclass(frozen=True)
class Answered:
    """As a site without robots.txt does, where nothing else is said."""

    status: int = 404
    body: bytes = b""
    retry_after: float = 0.0


def test_of_many_sites_the_one_that_was_asked_longest_ago_is_forgotten() -> None:
    asked: list[str] = []

    def get(url: str) -> Answered:
        asked.append(url)
        return Answered()

    robots = Robots(get, "FinSentry", seconds=3600, monotonic=lambda: 0.0)
    for number in range(MANY_SITES + 1):
        robots.check(f"http://{number}.example/page")
    asked.clear()
    for number in (1, MANY_SITES, 0):
        robots.check(f"http://{number}.example/page")
    assert asked == ["http://0.example/robots.txt"]


def test_a_site_that_was_asked_again_is_not_the_oldest() -> None:
    asked: list[str] = []
    now = 0.0

    def get(url: str) -> Answered:
        asked.append(url)
        return Answered()

    robots = Robots(get, "FinSentry", seconds=3600, monotonic=lambda: now)
    for number in range(MANY_SITES):
        robots.check(f"http://{number}.example/page")
    now = 3601.0
    robots.check("http://1.example/page")
    for number in range(3):
        robots.check(f"http://another-{number}.example/page")
    asked.clear()
    robots.check("http://1.example/page")
    assert asked == []


def test_http_and_https_are_two_sites() -> None:
    rules = {
        "http://a.example/robots.txt": Answered(200, b"User-agent: *\nDisallow: /"),
        "https://a.example/robots.txt": Answered(),
    }
    robots = Robots(rules.__getitem__, "FinSentry", seconds=3600)
    with pytest.raises(FetchError, match="forbidden"):
        robots.check("http://a.example/page")
    robots.check("https://a.example/page")


def test_what_stands_behind_half_a_megabyte_is_not_read() -> None:
    body = b"#" * MAX_BYTES + b"\nUser-agent: *\nDisallow: /"
    Robots(lambda _: Answered(200, body), "FinSentry", seconds=3600).check("http://a.example/page")


def test_an_address_that_must_not_be_asked_is_the_error_and_no_fault_of_the_site() -> None:
    def get(_: str) -> Answered:
        raise ForbiddenAddressError("a.example is private", fix="allow it")

    with pytest.raises(ForbiddenAddressError, match=r"^a\.example is private"):
        Robots(get, "FinSentry", seconds=3600).check("http://a.example/page")
