"""How many sites' rules are kept; what they allow is in `test_http.py`."""

from dataclasses import dataclass

from ingest.robots import MANY_SITES, Robots


@dataclass(frozen=True)
class Nothing:
    """A site without robots.txt."""

    status: int = 404
    body: bytes = b""
    retry_after: float = 0.0


def test_of_many_sites_the_one_that_was_asked_longest_ago_is_forgotten() -> None:
    asked: list[str] = []

    def get(url: str) -> Nothing:
        asked.append(url)
        return Nothing()

    robots = Robots(get, "FinSentry", seconds=3600, monotonic=lambda: 0.0)
    for number in range(MANY_SITES + 1):
        robots.check(f"http://{number}.example/page")
    asked.clear()
    for number in (1, MANY_SITES, 0):
        robots.check(f"http://{number}.example/page")
    assert asked == ["http://0.example/robots.txt"]
