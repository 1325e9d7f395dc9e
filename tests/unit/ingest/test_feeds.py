"""Feeds as sites write them, whole and broken, with and without their articles."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.entries import Rejected
from ingest.errors import FetchError, StoppingError
from ingest.http import Page
from ingest.settings import FeedSource, IngestSettings
from ingest.sources import feeds
from ingest.sources.feeds import Feed, parse_feed
from stream.records import Document
from tests.unit.ingest.documents import NOW
from tests.unit.ingest.test_article import PAGE
from tests.unit.ingest.web import Web

URL = "https://wire.example/rss"

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0"><channel><title>Wire</title><link>https://wire.example/</link><language>en-gb</language>
<item><title>Bank shut &amp; sold</title><link>https://wire.example/1?utm_source=rss</link><guid>g1</guid>
<pubDate>Tue, 10 Mar 2026 11:00:00 +0100</pubDate>
<description>&lt;p&gt;Depositors &lt;b&gt;queue&lt;/b&gt;.&lt;/p&gt;&lt;p&gt;More soon.&lt;/p&gt;</description></item>
<item><title>Shares fall</title><link>/2</link></item>
</channel></rss>"""

ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title>Wire</title><id>urn:wire</id>
<entry><title type="html">Bank &lt;i&gt;shut&lt;/i&gt;</title><id>urn:wire:1</id>
<link href="https://wire.example/1"/><updated>2026-03-10T10:00:00Z</updated>
<summary>Short.</summary><content type="html">&lt;p&gt;The whole of it.&lt;/p&gt;</content></entry></feed>"""


def feed(web: Web, **values: object) -> Feed:
    source = FeedSource.model_validate({"name": "wire", "url": URL, **values})
    return Feed(source, web.settings, web.fetcher, clock=lambda: NOW)


def answer(text: str | bytes, content_type: str = "application/rss+xml", **headers: str) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    return httpx.Response(200, headers={"content-type": content_type, **headers}, content=content)


def documents(source: Feed) -> list[Document]:
    return [item for item in source.read() if isinstance(item, Document)]


def test_an_rss_feed_becomes_documents() -> None:
    first, second = documents(feed(Web({URL: answer(RSS)})))
    assert (first.title, first.text) == ("Bank shut & sold", "Depositors queue. More soon.")
    assert first.published_at == datetime(2026, 3, 10, 10, tzinfo=UTC)
    assert (first.source, first.source_kind, first.language) == ("wire", "news", "en")
    assert (second.text, second.url) == ("Shares fall", "https://wire.example/2")


def test_an_atom_feed_becomes_documents() -> None:
    (document,) = documents(feed(Web({URL: answer(ATOM, "application/atom+xml")})))
    assert (document.title, document.text) == ("Bank shut", "The whole of it.")
    assert document.published_at == datetime(2026, 3, 10, 10, tzinfo=UTC)


def test_an_entry_without_a_date_is_new() -> None:
    assert documents(feed(Web({URL: answer(RSS)})))[1].published_at == NOW


def test_an_entry_without_any_mark_is_the_same_one_whenever_it_is_read() -> None:
    web = Web({URL: answer('<rss version="2.0"><channel><item><title>Bank shut</title></item></channel></rss>')})
    clock = iter((NOW, NOW + timedelta(hours=1)))
    source = Feed(FeedSource(name="wire", url=URL), web.settings, web.fetcher, clock=lambda: next(clock))
    assert len({document.id for _ in range(2) for document in documents(source)}) == 1


def test_of_what_an_entry_says_twice_the_most_telling_counts() -> None:
    entry = ATOM.replace(
        "<updated>2026-03-10T10:00:00Z</updated>",
        "<published>2026-03-09T10:00:00Z</published><updated>2026-03-10T10:00:00Z</updated>",
    )
    (document,) = documents(feed(Web({URL: answer(entry, "application/atom+xml")})))
    assert document.published_at == datetime(2026, 3, 9, 10, tzinfo=UTC), "not when somebody mended it"
    longer = ATOM.replace("Short.", "Longer than what is called the whole of it.")
    (document,) = documents(feed(Web({URL: answer(longer, "application/atom+xml")})))
    assert document.text == "Longer than what is called the whole of it."


def test_an_entry_may_have_a_language_of_its_own() -> None:
    item = '<entry xml:lang="fr"><title>Banque</title><id>1</id><dc:language>fr</dc:language></entry>'
    names = 'xmlns="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    body = f'<feed {names} xml:lang="de">{item}</feed>'
    assert [document.language for document in documents(feed(Web({URL: answer(body)})))] == ["fr"]


def test_links_are_relative_to_where_the_feed_stands_now() -> None:
    web = Web({URL: httpx.Response(301, headers={"location": "https://moved.example/feeds/rss"})})
    web.answers["https://moved.example/feeds/rss"] = answer(RSS)
    assert documents(feed(web))[1].url == "https://moved.example/2"


def test_a_feed_that_has_not_changed_is_not_read_again() -> None:
    web = Web({URL: answer(RSS, etag='"1"')})
    source = feed(web)
    assert len(list(source.read())) == 2
    web.answers[URL] = lambda request: httpx.Response(304 if request.headers.get("if-none-match") == '"1"' else 500)
    assert list(source.read()) == []


def test_a_feed_with_a_validator_that_cannot_be_sent_is_read_again() -> None:
    source = feed(Web({URL: httpx.Response(200, headers=[(b"etag", b'"\xe9"')], content=RSS.encode())}))
    for _ in range(2):
        assert len(list(source.read())) == 2


def test_a_feed_that_was_not_read_to_its_end_is_read_again() -> None:
    web = Web({URL: answer(RSS, etag='"1"')})
    source = feed(web)
    next(iter(source.read()))
    list(source.read())
    assert "if-none-match" not in web.requests[-1].headers


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"<html><body>Not found</body></html>", "neither RSS nor Atom"),
        (b"<rss", "unclosed token|not well-formed|neither RSS nor Atom"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not well-formed|neither RSS nor Atom"),
        (b"{}", "not well-formed|neither RSS nor Atom"),
    ],
)
def test_what_is_no_feed_is_an_error_that_names_it(body: bytes, reason: str) -> None:
    with pytest.raises(FetchError, match=f"{URL} is no feed: .*({reason})"):
        list(feed(Web({URL: answer(body)})).read())


def test_a_feed_that_breaks_off_keeps_what_came_before() -> None:
    items = list(feed(Web({URL: answer(RSS[: RSS.index("<item><title>Shares")] + "<item><title>Sha")})).read())
    assert isinstance(items[0], Document)
    assert items[0].title == "Bank shut & sold"
    problem = items[-1]
    assert isinstance(problem, Rejected)
    assert "it is broken, what could be read was kept" in problem.reason


def test_a_broken_entry_costs_itself_alone() -> None:
    body = RSS.replace("<title>Shares fall</title>", "<title> </title>").replace("+0100", "+0100 sometime")
    items = list(feed(Web({URL: answer(body)})).read())
    assert [str(item) for item in items if isinstance(item, Rejected)][-1] == "entry 2: no text"


def dated(date: str, **values: object) -> list[Any]:
    """What a feed gives whose one entry has `date`."""
    items = f"<item><title>Bank shut</title><pubDate>{date}</pubDate></item>"
    return list(feed(Web({URL: answer(f'<rss version="2.0"><channel>{items}</channel></rss>')}), **values).read())


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("2020/07/19 10:11", datetime(2020, 7, 19, 10, 11, tzinfo=UTC)),
        ("20200719T101010Z", datetime(2020, 7, 19, 10, 10, 10, tzinfo=UTC)),
        ("2020-07-19 10:11 EST", datetime(2020, 7, 19, 15, 11, tzinfo=UTC)),
        ("Sun, 19 Jul 2020 10:00:00 BST", datetime(2020, 7, 19, 9, tzinfo=UTC)),
        ("Sun, 19 Jul 2020 10:00:00 CEST", datetime(2020, 7, 19, 8, tzinfo=UTC)),
        ("Sun, 19 Jul 2020 10:00:00 JST", datetime(2020, 7, 19, 1, tzinfo=UTC)),
        ("Sun, 19 Jul 2020 10:00:00 HKT", datetime(2020, 7, 19, 2, tzinfo=UTC)),
        ("Sun, 19 Jul 2020 10:00:00 UT", datetime(2020, 7, 19, 10, tzinfo=UTC)),
        ("1595152800", datetime(2020, 7, 19, 10, tzinfo=UTC)),
        ("Sun, 19 Jul 20 10:00:00 GMT", datetime(2020, 7, 19, 10, tzinfo=UTC)),  # RFC 822, which feedparser reads
    ],
)
def test_a_date_is_read_strictly_before_it_is_guessed(date: str, moment: datetime) -> None:
    assert dated(date)[0].published_at == moment


def test_the_order_of_day_and_month_is_the_sources() -> None:
    assert dated("03/04/2020", day_first=True)[0].published_at == datetime(2020, 4, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "reason"),
    [
        ("Sun, 19 Jul 2020 10:00:00 XST", "unknown time zone, XST"),
        ("0000-00-00 00:00:00", "'0000-00-00 00:00:00' is no date"),
    ],
)
def test_no_guess_is_made_of_a_date_that_cannot_be_meant(date: str, reason: str) -> None:
    assert reason in dated(date)[0].reason


def test_an_empty_date_is_none() -> None:
    assert dated("")[0].published_at == NOW


@pytest.mark.parametrize(
    "html",
    ["<html><head></head></html>", "<html><body>a</body><body>b</body></html>", "<html><frameset></frameset></html>"],
)
def test_a_whole_page_in_a_description_is_html_like_other(html: str) -> None:
    body = RSS.replace("&lt;p&gt;Depositors", f"<![CDATA[{html}]]>&lt;p&gt;Depositors")
    assert [type(item) for item in feed(Web({URL: answer(body)})).read()] == [Document, Document]


def test_a_character_that_does_not_exist_is_an_error_of_the_feed() -> None:
    with pytest.raises(FetchError, match="is no feed: it cannot be parsed: UnicodeEncodeError"):
        list(feed(Web({URL: answer(RSS.replace("Shares fall", "Shares &#xD800; fall"))})).read())


def test_a_broken_feed_is_sent_again() -> None:
    web = Web({URL: answer(RSS[:-30], etag='"1"')})
    source = feed(web)
    for _ in range(2):
        assert isinstance(list(source.read())[-1], Rejected)
    assert "if-none-match" not in web.requests[-1].headers


def spelled(charset: str, declaration: str) -> bytes:
    """A declaration that is not `<!ENTITY` in bytes, as a text in `charset`."""
    if charset == "utf-7":
        return declaration.replace("<!", "+ADwAIQ-").encode()
    if charset == "iso-2022-jp":
        return declaration.replace("<!E", "<!\x1b(BE").encode()
    return declaration.encode(charset)


@pytest.mark.parametrize("where", ["header", "declaration"])
@pytest.mark.parametrize("charset", ["cp037", "utf-7", "iso-2022-jp"])
def test_no_charset_hides_entities(charset: str, where: str) -> None:
    start = "<?xml version='1.0'?>" if where == "header" else f"<?xml version='1.0' encoding='{charset}'?>"
    rest = "<rss version='2.0'><channel><item><title>a &x; b</title></item></channel></rss>"
    declaration = "<!DOCTYPE rss [<!ENTITY x 'lol'>]>"
    body = b"".join(
        (start.encode(charset), spelled(charset, declaration), rest.encode("cp037" if charset == "cp037" else "ascii"))
    )
    content_type = f"application/xml; charset={charset}" if where == "header" else "application/xml"
    with pytest.raises(FetchError, match="declares XML entities"):
        list(feed(Web({URL: answer(body, content_type)})).read())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("entity", ['x SYSTEM "file:///etc/passwd"', 'x "lol"', '% x "lol"'])
def test_a_feed_that_declares_entities_is_refused(entity: str, encoding: str) -> None:
    body = (
        f"<?xml version='1.0' encoding='{encoding}'?><!DOCTYPE rss [<!ENTITY {entity}>]>"
        "<rss version='2.0'><channel><item><title>a &x; b</title></item></channel></rss>"
    )
    with pytest.raises(FetchError, match="declares XML entities"):
        list(feed(Web({URL: answer(body.encode(encoding))})).read())


def test_no_file_is_opened_whatever_the_feed_says(tmp_path: Path) -> None:
    local = tmp_path / "feed.xml"
    local.write_text(RSS)
    assert parse_feed(Page(URL, 200, str(local).encode())).entries == ()
    assert parse_feed(Page(URL, 200, b"https://wire.example/other")).entries == ()


def article_web(article: httpx.Response | Exception, **settings: float) -> Web:
    answers = {URL: answer(RSS), "https://wire.example/1?utm_source=rss": article}
    return Web(answers, IngestSettings.model_validate({"host_delay_seconds": 0.0, **settings}))


def test_an_article_gives_the_full_text() -> None:
    web = article_web(answer(PAGE, "text/html"))
    document = documents(feed(web, articles=True))[0]
    assert "depositors withdrew a quarter" in document.text
    assert document.title == "Bank shut & sold"
    assert document.id == documents(feed(web))[0].id


def test_an_article_changes_no_id_that_hangs_on_the_text() -> None:
    home = "https://wire.example/"
    body = f'<rss version="2.0"><channel><item><title>Bank shut</title><link>{home}</link></item></channel></rss>'
    web = Web({URL: answer(body), home: answer(PAGE, "text/html")})
    (with_article,), (without,) = documents(feed(web, articles=True)), documents(feed(web))
    assert with_article.text != without.text
    assert with_article.id == without.id


@pytest.mark.parametrize(
    "article",
    [
        httpx.Response(404),
        httpx.ConnectError("refused"),
        httpx.Response(302, headers={"location": "http://xn--0/"}),
        answer("<html></html>", "text/html"),
        answer(b"%PDF-1.4", "application/pdf"),
        answer(PAGE, "text/plain"),
    ],
)
def test_the_summary_stands_in_for_an_article_that_cannot_be_had(article: httpx.Response | Exception) -> None:
    assert documents(feed(article_web(article), articles=True))[0].text == "Depositors queue. More soon."


def test_the_summary_stands_in_for_an_article_that_is_too_long(caplog: pytest.LogCaptureFixture) -> None:
    web = article_web(answer(PAGE, "text/html"), max_text_bytes=100)
    assert documents(feed(web, articles=True))[0].text == "Depositors queue. More soon."
    assert "article missing source=wire error='the text has" in caplog.text


def test_the_summary_stands_in_for_an_article_that_cannot_be_taken_apart(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_page: bytes, _url: str) -> str:
        raise AttributeError("a library's own")

    monkeypatch.setattr(feeds, "text_of_page", fail)
    web = article_web(answer(PAGE, "text/html"))
    assert documents(feed(web, articles=True))[0].text == "Depositors queue. More soon."
    assert "article missing source=wire url='https://wire.example/1?utm_source=***'" in caplog.text
    assert "a library's own" in caplog.text


def test_the_page_of_a_known_document_is_not_fetched_again() -> None:
    web = article_web(answer(PAGE, "text/html"))
    source = Feed(
        FeedSource(name="wire", url=URL, articles=True),
        web.settings,
        web.fetcher,
        knows=lambda _: True,
        clock=lambda: NOW,
    )
    list(source.read())
    assert [url for url in web.asked if "robots" not in url] == [URL]


def test_a_crawler_that_stops_decides_nothing_about_an_article() -> None:
    web = article_web(answer(PAGE, "text/html"))
    source = feed(web, articles=True)
    items = source.read()
    web.answers["https://wire.example/1?utm_source=rss"] = StoppingError("the crawler stops")
    with pytest.raises(StoppingError):
        list(items)
