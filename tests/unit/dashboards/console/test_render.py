import re
from html.parser import HTMLParser

import msgspec
import pytest

from dashboards.console.live import Asked, Pages
from dashboards.console.render import FRAGMENTS, Page, duration, length, number, percent, render_document, span
from dashboards.console.state import ConsoleState
from tests.unit.dashboards.console.records import SETTINGS, alert, at, bucket, evidence, new_board, new_state, reach
from tests.unit.dashboards.console.test_view import filled

HOUR = Asked("1h")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page_of(state: ConsoleState, asked: Asked = HOUR) -> Page:
    return Pages(new_board(state), SETTINGS).page(asked)[0]


def document_of(state: ConsoleState, asked: Asked = HOUR) -> str:
    return render_document(page_of(state, asked), opened=bool(asked.topic))


def hostile() -> ConsoleState:
    state = new_state()
    bad = evidence(HOSTILE, minute=50, url="javascript:alert(3)")
    state.put_bucket(bucket(HOSTILE, 50, stories=20, negative=12, headlines=(bad,)))
    state.put_alert(alert(HOSTILE, reason=HOSTILE, evidence=(bad,), judge=HOSTILE, window=HOSTILE, final=HOSTILE))
    state.put_alert(alert(HOSTILE, id="over", reason=HOSTILE, state="resolved", ended_at=at(3)))
    reach(state, 59)
    return state


def test_what_strangers_wrote_never_becomes_markup() -> None:
    elements = Elements(document_of(hostile(), Asked("1h", HOSTILE))).found
    assert "img" not in {tag for tag, _ in elements}
    assert [attributes["src"] for tag, attributes in elements if tag == "script"] == ["/static/console.js"]
    links = [attributes["href"] or "" for tag, attributes in elements if tag == "a"]
    assert links
    assert not [link for link in links if not link.startswith(("/", "#"))]


def test_the_policy_needs_no_exception() -> None:
    """No inline script, no inline style, no handler in an attribute: the strict policy would block them."""
    state = hostile()
    state.put_alert(alert("Macro"))
    for asked in (Asked("1h"), Asked("7d", HOSTILE)):
        elements = Elements(document_of(state, asked)).found
        assert "style" not in {tag for tag, _ in elements}
        assert not [name for _, attributes in elements for name in attributes if name == "style" or name[:2] == "on"]


def test_ids_stand_once() -> None:
    state = filled()
    state.put_alert(alert("Macro", evidence=(evidence("Bank fails"), evidence("Bank saved"))))
    state.put_alert(alert("Macro", id="over", state="resolved", ended_at=at(3)))
    found = [
        attributes["id"]
        for _, attributes in Elements(document_of(state, Asked("1h", "Macro"))).found
        if "id" in attributes
    ]
    assert len(found) == len(set(found))
    assert set(FRAGMENTS) <= set(found)


def test_a_headline_in_a_language_without_a_bundle_is_marked() -> None:
    state = new_state()
    known, german, unknown = (evidence(title, minute=50) for title in ("known", "german", "unknown"))
    german = msgspec.structs.replace(german, language="de", fallback=True)
    unknown = msgspec.structs.replace(unknown, fallback=True)
    known = msgspec.structs.replace(known, language="en")
    state.put_bucket(bucket("Financials", 50, stories=3, negative=3, headlines=(known, german, unknown)))
    items = page_of(state).fragments["headlines"].split("<li>")[1:]
    marks = {re.findall(r">(known|german|unknown)<", item)[0]: re.findall(r"guess.\">([^<]*)<", item) for item in items}
    assert marks == {"known": [], "german": ["de"], "unknown": ["unknown language"]}


def test_headlines_link_to_their_page_without_telling_it_anything() -> None:
    state = new_state()
    headline = evidence("Bank fails", minute=50, url="https://news.example/a?b=1&c=2")
    state.put_bucket(bucket("Financials", 50, stories=1, negative=1, headlines=(headline,)))
    reach(state, 59)
    (link,) = [a for tag, a in Elements(page_of(state).fragments["headlines"]).found if a.get("target") == "_blank"]
    assert link["href"] == "https://news.example/a?b=1&c=2"
    assert link["rel"] == "noopener noreferrer nofollow"


def test_every_moment_is_machine_readable_and_keeps_utc() -> None:
    state = filled()
    state.put_alert(alert("Macro"))
    times = [a for tag, a in Elements(document_of(state, Asked("1h", "Macro"))).found if tag == "time" and a]
    assert len(times) > 5
    for attributes in times:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attributes["datetime"] or "")
        assert (attributes["title"] or "").endswith(" UTC")


def test_colour_is_never_the_only_sign() -> None:
    state = filled()
    state.put_alert(alert("Macro", severity="warning"))
    state.put_alert(alert("Markets"))
    text = re.sub(r"<[^>]*>", " ", page_of(state).fragments["topics"])
    assert re.findall("Critical|Warning|Calm|Few stories|Silent", text) == [
        "Critical",
        "Warning",
        "Calm",
        "Few stories",
        "Silent",
    ]


@pytest.mark.parametrize(
    ("alerts", "mood", "status", "title"),
    [
        (0, "calm", "All calm", "FinSentry"),
        (1, "critical", "Macro is firing", "(1) Macro – FinSentry"),
        (2, "critical", "2 alerts are firing", "(2) Macro – FinSentry"),
    ],
)
def test_the_page_says_at_once_whether_something_fires(alerts: int, mood: str, status: str, title: str) -> None:
    state = filled()
    for topic, severity in (("Macro", "critical"), ("Markets", "warning"))[:alerts]:
        state.put_alert(alert(topic, severity=severity))
    page = page_of(state)
    assert (page.mood, page.title) == (mood, title)
    assert status in page.fragments["status"]


def test_an_empty_console_says_what_it_waits_for() -> None:
    page = page_of(new_state())
    assert page.mood == "waiting"
    assert "Waiting for the first documents…" in page.fragments["status"]


def test_a_lost_broker_is_shown_and_what_fires_stays() -> None:
    state = filled()
    board = new_board(state)
    board.connect("lost", "Connection refused <here>")
    page = Pages(board, SETTINGS).page(Asked("1h"))[0]
    assert page.mood == "lost"
    assert "Kafka does not answer" in page.fragments["banner"]
    assert "Connection refused &lt;here&gt;" in page.fragments["banner"]
    state.put_alert(alert("Macro"))
    assert Pages(board, SETTINGS).page(Asked("1h"))[0].mood == "critical"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.001, "<1%"), (0.126, "13%"), (0.99, "99%"), (0.999, ">99%"), (1, "100%")],
)
def test_shares_are_whole_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 min"), (59, "59 min"), (60, "1 h"), (135, "2 h 15 min"), (1440, "1 d"), (1530, "1 d 1 h")],
)
def test_durations_are_said_in_two_units(minutes: int, text: str) -> None:
    assert duration(minutes) == text


@pytest.mark.parametrize(
    ("window", "text", "last"),
    [
        ("15m", "15 minutes", "15 minutes"),
        ("60m", "1 hour", "hour"),
        ("1h", "1 hour", "hour"),
        ("24h", "24 hours", "24 hours"),
        ("7d", "7 days", "7 days"),
        ("working day", "working day", "working day"),
    ],
)
def test_windows_are_said_as_people_do(window: str, text: str, last: str) -> None:
    assert (length(window), span(window)) == (text, last)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234567, "1,234,567"), (3.0, "3"), (2.44, "2.4"), (244.4, "244")]
)
def test_numbers_have_their_thousands_apart(value: float, text: str) -> None:
    assert number(value) == text


def test_a_standstill_is_not_called_calm() -> None:
    state = new_state()
    state.put_bucket(bucket("Macro", 50, stories=30))
    reach(state, 50, position=10)
    state.observe_ends({0: 4000, 1: 10}, at(55))
    page = page_of(state)
    assert (page.title, page.mood) == ("Not counting – FinSentry", "lost")
    assert "All calm" not in page.fragments["status"]
    assert "Nothing is being counted" in page.fragments["status"]
    assert "3,990 documents wait" in page.fragments["banner"]


def test_while_it_reads_nothing_is_said_of_what_was_counted() -> None:
    board = new_board(new_state())
    board.connect("loading", "reading, 40%")
    fragments = Pages(board, SETTINGS).page(HOUR)[0].fragments
    assert "Reading what was counted" in fragments["status"]
    assert "Nothing has been counted" not in fragments["alerts"]


def test_the_mark_of_a_language_without_a_bundle_stands_wherever_its_headline_does() -> None:
    state = new_state()
    german = msgspec.structs.replace(evidence("german", minute=50), language="de", fallback=True)
    state.put_bucket(bucket("Financials", 50, stories=30, negative=30, headlines=(german,)))
    state.put_alert(alert("Financials", evidence=(german,)))
    reach(state, 59)
    fragments = page_of(state, Asked("1h", "Financials")).fragments
    for name in ("headlines", "alerts", "detail"):
        assert 'guess.">de<' in fragments[name], name
