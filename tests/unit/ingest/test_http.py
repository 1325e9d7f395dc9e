"""The fetcher is polite, and no server makes it fetch what it must not, or for ever."""

import gzip
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from threading import Event

import httpcore
import httpx
import pytest

from ingest import http
from ingest.errors import FetchError, StoppingError
from ingest.http import Fetcher, Page, Validators, retry_after
from ingest.settings import IngestSettings
from ingest.transport import Deadline
from tests.unit.ingest.documents import NOW
from tests.unit.ingest.web import FakeTime, Web, raw

URL = "http://a.example/page"
ROBOTS = "http://a.example/robots.txt"


def settings(**values: object) -> IngestSettings:
    return IngestSettings.model_validate({"host_delay_seconds": 0.0, **values})


def test_a_page_comes_with_its_headers() -> None:
    web = Web({URL: httpx.Response(200, headers={"ETag": '"1"'}, text="hello")})
    page = web.fetcher.fetch(URL)
    assert (page.url, page.body, page.headers["etag"], page.unchanged) == (URL, b"hello", '"1"', False)


def test_the_crawler_says_who_it_is() -> None:
    web = Web({URL: httpx.Response(200)}, settings(user_agent="FinSentry/9", contact="ops@bank.example"))
    web.fetcher.fetch(URL)
    assert web.requests[-1].headers["user-agent"] == "FinSentry/9 (ops@bank.example)"


def test_a_page_that_has_not_changed_is_not_sent_again() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["if-none-match"] == '"1"'
        assert request.headers["if-modified-since"] == "Sun, 19 Jul 2020 10:11:00 GMT"
        return httpx.Response(304)

    web = Web({URL: answer})
    assert web.fetcher.fetch(URL, validators=Validators('"1"', "Sun, 19 Jul 2020 10:11:00 GMT")).unchanged


@pytest.mark.parametrize(("value", "kept"), [('"1"', True), ('"\u00e9"', False), ('"\x00"', False), ('"\t"', False)])
def test_a_validator_that_no_request_can_carry_is_none(value: str, kept: bool) -> None:
    page = Page(URL, 200, headers={"etag": value, "last-modified": value})
    assert Validators.of(page) == (Validators(value, value) if kept else Validators())


@pytest.mark.parametrize("url", ["http://xn--0/", "http://xn--a-ecp.example/"])
def test_a_host_that_no_name_can_have_is_an_error_that_names_it(url: str) -> None:
    with pytest.raises(FetchError, match="could not be fetched"):
        Web().fetcher.fetch(url)


@pytest.mark.parametrize("status", [204, 206, 400, 401, 403, 404, 410, 418, 429, 500, 503])
def test_an_error_status_is_an_error_that_names_the_page(status: int) -> None:
    with pytest.raises(FetchError, match=f"{URL} answered with status {status}"):
        Web({URL: httpx.Response(status)}).fetcher.fetch(URL)


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("?")]
)
def test_a_broken_connection_is_an_error_that_names_the_page(error: Exception) -> None:
    with pytest.raises(FetchError, match="could not be fetched"):
        Web({ROBOTS: httpx.Response(404), URL: error}).fetcher.fetch(URL)


@pytest.mark.parametrize("url", ["ftp://a.example/x", "file:///etc/passwd", "http://", "a.example", "http://[::1"])
def test_only_web_addresses_are_fetched(url: str) -> None:
    with pytest.raises(FetchError):
        Web().fetcher.fetch(url)


def test_redirects_are_followed_to_the_page() -> None:
    web = Web(
        {
            URL: httpx.Response(301, headers={"location": "/other"}),
            "http://a.example/other": httpx.Response(302, headers={"location": "https://b.example/last"}),
            "https://b.example/last": httpx.Response(200, text="there"),
        }
    )
    page = web.fetcher.fetch(URL, headers={"Authorization": "Bearer secret"})
    assert (page.url, page.body) == ("https://b.example/last", b"there")
    assert "authorization" not in web.requests[-1].headers


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a.example/x", "gopher://a.example"])
def test_a_redirect_leads_nowhere_but_to_the_web(location: str) -> None:
    web = Web({URL: httpx.Response(302, headers={"location": location})})
    with pytest.raises(FetchError):
        web.fetcher.fetch(URL)


def test_redirects_end() -> None:
    web = Web({URL: httpx.Response(302, headers={"location": URL})}, settings(max_redirects=3))
    with pytest.raises(FetchError, match="redirects more than 3 times"):
        web.fetcher.fetch(URL)
    assert web.asked.count(URL) == 4


def test_a_redirect_into_a_forbidden_path_is_not_followed() -> None:
    web = Web(
        {
            URL: httpx.Response(302, headers={"location": "http://b.example/private/x"}),
            "http://b.example/robots.txt": httpx.Response(200, text="User-agent: *\nDisallow: /private/"),
        }
    )
    with pytest.raises(FetchError, match=r"http://b\.example/private/x is forbidden by its site's robots\.txt"):
        web.fetcher.fetch(URL)
    assert "http://b.example/private/x" not in web.asked


@pytest.mark.parametrize("length", ["1001", "9" * 5000])
def test_an_announced_length_above_the_limit_is_refused_before_it_is_read(length: str) -> None:
    web = Web({URL: raw(b"x", content_length=length)}, settings(max_response_bytes=1000))
    with pytest.raises(FetchError, match="longer than 1,000 bytes"):
        web.fetcher.fetch(URL)


def test_a_body_above_the_limit_is_cut_off() -> None:
    web = Web({URL: raw(b"x" * 100_000)}, settings(max_response_bytes=1000))
    with pytest.raises(FetchError, match="longer than 1,000 bytes"):
        web.fetcher.fetch(URL)


def test_packed_pages_are_unpacked() -> None:
    web = Web({URL: raw(gzip.compress(b"hello" * 10_000), content_encoding="gzip")})
    assert web.fetcher.fetch(URL).body == b"hello" * 10_000


def test_a_packed_bomb_is_cut_off_while_it_is_unpacked() -> None:
    web = Web({URL: raw(gzip.compress(b"\0" * 50_000_000), content_encoding="gzip")}, settings(max_response_bytes=1000))
    tracemalloc.start()
    with pytest.raises(FetchError, match="longer than 1,000 bytes"):
        web.fetcher.fetch(URL, robots=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # one piece of 4 kB would become 4 MB


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_page_may_be_as_long_as_the_limit(more: int, fits: bool) -> None:
    body = b"x" * (1000 + more)
    for answer in (raw(body), raw(gzip.compress(body), content_encoding="gzip")):
        web = Web({URL: answer}, settings(max_response_bytes=1000))
        too_long = pytest.raises(FetchError, match="longer than 1,000 bytes")
        expected: AbstractContextManager[object] = nullcontext() if fits else too_long
        with expected:
            assert web.fetcher.fetch(URL, robots=False).body == body


def test_all_members_of_a_packed_page_are_unpacked() -> None:
    body = b"".join(gzip.compress(piece * 10_000) for piece in (b"one", b"two", b"three"))
    web = Web({URL: raw(body, content_encoding="gzip")})
    assert web.fetcher.fetch(URL).body == b"one" * 10_000 + b"two" * 10_000 + b"three" * 10_000


def test_members_are_counted_together() -> None:
    web = Web({URL: raw(gzip.compress(b"x" * 600) * 2, content_encoding="gzip")}, settings(max_response_bytes=1000))
    with pytest.raises(FetchError, match="longer than 1,000 bytes"):
        web.fetcher.fetch(URL)


@pytest.mark.parametrize("missing", [1, 8, 20])
@pytest.mark.parametrize("before", [b"", gzip.compress(b"whole", mtime=0)], ids=["alone", "behind another"])
def test_a_packed_page_that_breaks_off_is_an_error(before: bytes, missing: int) -> None:
    body = before + gzip.compress(b"hello" * 10_000)[:-missing]
    with pytest.raises(FetchError, match="breaks off in the middle of its gzip data"):
        Web({URL: raw(body, content_encoding="gzip")}).fetcher.fetch(URL)


def test_an_empty_page_may_be_called_packed() -> None:
    assert Web({URL: raw(b"", content_encoding="gzip")}).fetcher.fetch(URL).body == b""


@pytest.mark.parametrize(("encoding", "reason"), [("gzip", "no valid gzip"), ("br", "which was not asked for")])
def test_an_encoding_that_cannot_be_read_is_an_error(encoding: str, reason: str) -> None:
    with pytest.raises(FetchError, match=reason):
        Web({URL: raw(b"hello", content_encoding=encoding)}).fetcher.fetch(URL)


def test_requests_to_one_host_keep_their_distance() -> None:
    web = Web({URL: httpx.Response(200)}, settings(host_delay_seconds=2.0))
    for _ in range(3):
        web.fetcher.fetch(URL)
    assert web.time.waits == [2.0, 2.0, 2.0]  # robots.txt was first


def test_hosts_do_not_wait_for_each_other() -> None:
    other = "http://b.example/page"
    web = Web({URL: httpx.Response(200), other: httpx.Response(200)}, settings(host_delay_seconds=2.0, robots_hours=1))
    web.fetcher.fetch(URL, robots=False)
    web.fetcher.fetch(other, robots=False)
    assert web.time.waits == []


def test_a_site_may_ask_for_more_distance() -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(200, text="User-agent: *\nCrawl-delay: 7")})
    web.fetcher.fetch(URL)
    web.fetcher.fetch(URL)
    assert web.time.waits == [7.0]


@pytest.mark.parametrize(("delay", "waited"), [(31, 31), (60, 60), (86_400, 60)])
def test_the_distance_that_a_site_asks_for_is_waited_for(delay: int, waited: int) -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(200, text=f"User-agent: *\nCrawl-delay: {delay}")})
    for _ in range(3):
        web.fetcher.fetch(URL)
    assert web.time.waits == [waited, waited]


def test_a_site_that_asks_for_less_distance_gets_that_of_the_settings() -> None:
    rules = httpx.Response(200, text="User-agent: *\nCrawl-delay: 1")
    web = Web({URL: httpx.Response(200), ROBOTS: rules}, settings(host_delay_seconds=5.0))
    for _ in range(3):
        web.fetcher.fetch(URL)
    assert web.time.waits == [5.0, 5.0, 5.0]


def test_the_distance_of_the_settings_is_waited_for() -> None:
    web = Web({URL: httpx.Response(200)}, settings(host_delay_seconds=90.0))
    web.fetcher.fetch(URL)
    assert web.time.waits == [90.0]


def test_robots_are_asked_again_at_the_distance_that_they_ask_for() -> None:
    rules = httpx.Response(200, text="User-agent: *\nCrawl-delay: 60")
    web = Web({URL: httpx.Response(200), ROBOTS: rules}, settings(robots_hours=1))
    web.fetcher.fetch(URL)
    web.time.now += 3590
    web.fetcher.fetch(URL)
    web.time.now += 11
    web.fetcher.fetch(URL)
    assert web.asked.count(ROBOTS) == 2


def test_who_waits_for_a_turn_does_not_take_it_once_the_host_asks_for_quiet() -> None:
    waiting, held = Event(), Event()

    def busy(_: httpx.Request) -> httpx.Response:
        waiting.wait(30.0)
        return httpx.Response(429, headers={"Retry-After": "600"})

    def meanwhile() -> None:
        waiting.set()
        held.wait(30.0)

    other = "http://a.example/busy"
    web = Web({URL: httpx.Response(200), other: busy}, settings(host_delay_seconds=5.0))
    web.time.meanwhile = meanwhile
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(web.fetcher.fetch, other, robots=False)
        asking.add_done_callback(lambda _: held.set())
        while other not in web.asked:
            waiting.wait(0.01)
        with pytest.raises(FetchError, match="left alone for 600 s") as caught:
            web.fetcher.fetch(URL, robots=False)
    assert caught.value.retry_after == 600.0
    assert URL not in web.asked


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_asks_for_quiet_at_robots_gets_it(status: int) -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(status, headers={"Retry-After": "3000"})})
    for passed in (0, 61, 2000):
        web.time.now = 1000.0 + passed
        with pytest.raises(FetchError, match=f"cannot be: status {status}") as caught:
            web.fetcher.fetch(URL)
        assert caught.value.retry_after == 3000.0 - passed
    with pytest.raises(FetchError, match="left alone for 1000 s"):
        web.fetcher.fetch(URL, robots=False)
    assert web.asked == [ROBOTS]
    web.answers[ROBOTS] = httpx.Response(404)
    web.time.now = 4001.0
    assert web.fetcher.fetch(URL).status == 200


def test_robots_that_must_wait_say_for_how_long() -> None:
    other = "http://a.example/other"
    web = Web({URL: httpx.Response(200), other: httpx.Response(429, headers={"Retry-After": "600"})})
    with pytest.raises(FetchError):
        web.fetcher.fetch(other, robots=False)
    with pytest.raises(FetchError, match=r"robots\.txt cannot be") as caught:
        web.fetcher.fetch(URL)
    assert caught.value.retry_after == 600.0


def test_a_host_that_asks_for_quiet_gets_it() -> None:
    web = Web({URL: httpx.Response(429, headers={"Retry-After": "120"})})
    with pytest.raises(FetchError) as caught:
        web.fetcher.fetch(URL)
    assert caught.value.retry_after == 120.0
    asked = len(web.asked)
    with pytest.raises(FetchError, match="left alone for 120 s") as caught:
        web.fetcher.fetch("http://a.example/another")
    assert caught.value.retry_after == 120.0
    assert len(web.asked) == asked
    web.time.now += 121
    web.answers[URL] = httpx.Response(200)
    assert web.fetcher.fetch(URL).status == 200


def test_a_short_quiet_is_waited_for() -> None:
    web = Web({URL: httpx.Response(429, headers={"Retry-After": "5"})})
    with pytest.raises(FetchError):
        web.fetcher.fetch(URL, robots=False)
    web.answers[URL] = httpx.Response(200)
    assert web.fetcher.fetch(URL, robots=False).status == 200
    assert web.time.waits == [5.0]


def test_the_longest_quiet_that_was_asked_for_counts() -> None:
    other = "http://a.example/other"

    def busy(_: httpx.Request) -> httpx.Response:
        with pytest.raises(FetchError):  # another thread is answered meanwhile
            web.fetcher.fetch(other, robots=False)
        return httpx.Response(429, headers={"Retry-After": "5"})

    web = Web({URL: busy, other: httpx.Response(429, headers={"Retry-After": "600"})})
    with pytest.raises(FetchError):
        web.fetcher.fetch(URL, robots=False)
    with pytest.raises(FetchError, match="left alone for 600 s"):
        web.fetcher.fetch(URL, robots=False)


def test_who_is_sent_away_takes_no_turn() -> None:
    web = Web({URL: httpx.Response(429, headers={"Retry-After": "120"})}, settings(host_delay_seconds=5.0))
    for _ in range(10):
        with pytest.raises(FetchError):
            web.fetcher.fetch(URL, robots=False)
    web.answers[URL] = httpx.Response(200)
    web.time.now += 121
    assert web.fetcher.fetch(URL, robots=False).status == 200
    assert web.time.waits == []


def test_of_many_hosts_those_are_forgotten_whose_turn_has_come_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MANY_HOSTS", 10)
    web = Web({}, settings(host_delay_seconds=5.0))

    def fetch(number: int) -> None:
        """Of a host with an even number, which asks for quiet, or an odd one."""
        url = f"http://{number}.example/page"
        web.answers[url] = httpx.Response(200 if number % 2 else 429, headers={"Retry-After": "20"})
        expected: AbstractContextManager[object] = nullcontext() if number % 2 else pytest.raises(FetchError)
        with expected:
            web.fetcher.fetch(url, robots=False)

    for number in range(40):
        fetch(number)
    fetch(1)
    assert web.time.waits == [5.0]
    web.time.now += 20
    fetch(41)
    fetch(42)
    assert len(web.fetcher._turns._next) == 2
    assert len(web.fetcher._turns._held) == 1


def test_the_wait_for_a_turn_is_none_of_the_time_that_a_request_may_take() -> None:
    left: list[float] = []

    def connect(deadline: Deadline) -> httpx.BaseTransport:
        def answer(request: httpx.Request) -> httpx.Response:
            left.append(deadline.left())
            return raw(b"")(request)

        return httpx.MockTransport(answer)

    time = FakeTime()
    slow = settings(host_delay_seconds=60.0, timeout_seconds=10.0)
    fetcher = Fetcher(slow, connect=connect, wait=time.wait, monotonic=time.monotonic)
    for _ in range(2):
        fetcher.fetch(URL, robots=False)
    assert left == [10.0, 10.0]


def test_a_crawler_that_stops_does_not_wait_for_its_turn() -> None:
    web = Web({URL: httpx.Response(200)}, settings(host_delay_seconds=5.0))
    web.fetcher.fetch(URL)
    web.time.stopping = True
    with pytest.raises(StoppingError):
        web.fetcher.fetch(URL)


def test_a_crawler_that_stops_at_robots_stops() -> None:
    web = Web({URL: httpx.Response(200)}, settings(host_delay_seconds=5.0))
    web.fetcher.fetch(URL, robots=False)
    web.time.stopping = True
    with pytest.raises(StoppingError):
        web.fetcher.fetch(URL)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Tue, 10 Mar 2026 12:02:00 GMT", 120.0),
        ("Tue, 10 Mar 2026 12:02:00 -0000", 120.0),  # of a zone that is not told
        ("Tue, 10 Mar 2026 11:00:00 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


def test_robots_are_asked_once_and_then_believed() -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(200, text="")}, settings(robots_hours=1))
    for _ in range(3):
        web.fetcher.fetch(URL)
    web.time.now += 3599
    web.fetcher.fetch(URL)
    assert web.asked.count(ROBOTS) == 1
    web.time.now += 2
    web.fetcher.fetch(URL)
    assert web.asked.count(ROBOTS) == 2


def test_robots_may_name_this_crawler() -> None:
    rules = "User-agent: FinSentry\nDisallow: /\n\nUser-agent: *\nAllow: /"
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(200, text=rules)})
    with pytest.raises(FetchError, match=r"forbidden by its site's robots\.txt"):
        web.fetcher.fetch(URL)
    assert web.asked == [ROBOTS]


@pytest.mark.parametrize("status", [404, 403, 401, 410])
def test_a_site_without_robots_allows_all(status: int) -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(status)})
    assert web.fetcher.fetch(URL).status == 200


def test_a_site_whose_robots_fail_is_left_alone_for_a_while() -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(503)})
    for _ in range(2):
        with pytest.raises(FetchError, match=r"robots\.txt cannot be: status 503"):
            web.fetcher.fetch(URL)
    assert web.asked == [ROBOTS]
    web.answers[ROBOTS] = httpx.Response(404)
    web.time.now += 61
    assert web.fetcher.fetch(URL).status == 200


def test_a_server_that_comes_up_is_fetched_at_once() -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.ConnectError("refused")})
    with pytest.raises(FetchError, match="refused"):
        web.fetcher.fetch(URL)
    web.answers[ROBOTS] = httpx.Response(404)
    assert web.fetcher.fetch(URL).status == 200


@pytest.mark.parametrize("error", [httpx.ReadTimeout("slow"), httpcore.ConnectTimeout("nobody")])
def test_a_server_that_does_not_answer_is_not_waited_for_again_for_each_page(error: Exception) -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: error})
    for page in range(50):
        with pytest.raises(FetchError, match=r"robots\.txt cannot be: .*(slow|nobody)"):
            web.fetcher.fetch(f"{URL}?{page}")
    assert web.asked == [ROBOTS]
    web.answers[ROBOTS] = httpx.Response(404)
    web.time.now += 61
    assert web.fetcher.fetch(URL).status == 200


def test_robots_may_begin_with_a_byte_order_mark() -> None:
    rules = b"\xef\xbb\xbfUser-agent: *\nDisallow: /"
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(200, content=rules)})
    with pytest.raises(FetchError, match=r"forbidden by its site's robots\.txt"):
        web.fetcher.fetch(URL)


def test_a_sign_in_is_sent_as_it_is_and_makes_no_other_host() -> None:
    web = Web({}, settings(host_delay_seconds=2.0))
    web.answers |= dict.fromkeys(("http://Jane:S3cret@a.example/page", URL), httpx.Response(200))
    web.fetcher.fetch("http://Jane:S3cret@A.example/page")
    web.fetcher.fetch(URL)
    assert web.asked.count("http://Jane:S3cret@a.example/robots.txt") == 1
    assert len(web.asked) == 3
    assert web.requests[0].headers["authorization"] == web.requests[1].headers["authorization"]
    assert web.time.waits == [2.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "robots"),
    [
        (httpx.Response(500), 404),
        (httpx.Response(429, headers={"Retry-After": "600"}), 404),
        (httpx.Response(302, headers={"location": "/page?apikey=s3cret"}), 404),
        (httpx.ConnectError("refused"), 404),
        (raw(b"x", content_length="1001"), 404),
        (raw(b"no gzip data", content_encoding="gzip"), 404),
        (raw(gzip.compress(b"x")[:-1], content_encoding="gzip"), 404),
        (raw(b"x", content_encoding="br"), 404),
        (httpx.Response(200), 500),
        (httpx.Response(200), httpx.ConnectError("refused")),
        (httpx.Response(200), httpx.Response(200, text="User-agent: *\nDisallow: /")),
    ],
)
def test_no_error_shows_what_an_address_keeps_secret(
    answer: httpx.Response | Exception, robots: int | httpx.Response | Exception
) -> None:
    address = "http://jane:s3cret@a.example/page"
    rules = httpx.Response(robots) if isinstance(robots, int) else robots
    answers = {address: answer, "http://jane:s3cret@a.example/robots.txt": rules}
    web = Web(answers, settings(max_response_bytes=1000))
    for _ in range(2):  # the second one, where the host was asked to be left alone, says that
        with pytest.raises(FetchError, match=r"http://a\.example/page") as caught:
            web.fetcher.fetch(f"{address}?apikey=s3cret")
        assert "s3cret" not in str(caught.value)


def test_an_api_may_be_exempt_from_robots() -> None:
    web = Web({URL: httpx.Response(200), ROBOTS: httpx.Response(200, text="User-agent: *\nDisallow: /")})
    assert web.fetcher.fetch(URL, robots=False).status == 200


def test_the_clock_of_retry_after_is_the_fetchers() -> None:
    web = Web({URL: httpx.Response(503, headers={"Retry-After": "Tue, 10 Mar 2026 12:02:00 GMT"})})
    web.clock = lambda: datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
    with pytest.raises(FetchError) as caught:
        web.fetcher.fetch(URL)
    assert caught.value.retry_after == 60.0


@pytest.mark.parametrize("value", ["31536000", "9" * 400, "Wed, 10 Mar 2027 12:00:00 GMT"])
def test_no_server_silences_a_source_for_longer_than_the_settings_allow(value: str) -> None:
    answers = {URL: httpx.Response(429, headers={"Retry-After": value}), ROBOTS: httpx.Response(404)}
    web = Web(answers, settings(max_backoff_seconds=600))
    with pytest.raises(FetchError) as caught:
        web.fetcher.fetch(URL)
    assert (caught.value.status, caught.value.retry_after) == (429, 600.0)
    web.answers[URL] = httpx.Response(200)
    web.time.now += 600
    assert web.fetcher.fetch(URL).status == 200
