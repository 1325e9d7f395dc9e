"""An RSS or Atom feed as documents, with the text of its articles where that is asked for."""

import calendar
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import urljoin
from xml.sax import SAXException

import feedparser
import msgspec
from feedparser.encodings import convert_to_utf8

from ingest.article import text_of_fragment, text_of_page
from ingest.dates import UnknownZoneError, parse_date
from ingest.entries import Entry, EntryRules, Item, Rejected, one_item
from ingest.errors import FetchError, RowError, StoppingError
from ingest.http import Fetcher, Page, Validators
from ingest.settings import FeedSource, IngestSettings
from ingest.urls import shown
from stream.records import Document, SourceKind

logger = logging.getLogger(__name__)

HTML_TYPES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """What could be read of a feed, and what is wrong with it."""

    entries: tuple[Any, ...]
    """As feedparser has them: each is made an `Entry` by itself, so that none spoils the others."""
    language: str = ""
    problem: str = ""


class Feed:
    """A `Source` over one feed. A feed that has not changed is not sent again, nor the page of a known document."""

    def __init__(
        self,
        feed: FeedSource,
        settings: IngestSettings,
        fetcher: Fetcher,
        *,
        knows: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = feed.name
        self.kind: SourceKind = feed.kind
        self._feed = feed
        self._fetcher = fetcher
        self._knows = knows
        self._validators = Validators()
        self._rules = EntryRules.of(
            settings, feed.name, feed.kind, clock, day_first=feed.day_first, language=feed.language, undated_is_new=True
        )

    def read(self) -> Iterator[Item]:
        page = self._fetcher.fetch(self._feed.url, validators=self._validators)
        if page.unchanged:
            return
        parsed = parse_feed(page)
        if parsed.problem and not parsed.entries:
            raise FetchError(
                f"{shown(self._feed.url)} is no feed: {parsed.problem}", fix="check the address in a browser"
            )
        for number, found in enumerate(parsed.entries, start=1):
            yield one_item(self.name, f"entry {number}", partial(self._document, found, page.url, parsed.language))
        if parsed.problem:
            yield Rejected("the feed", f"it is broken, what could be read was kept: {parsed.problem}")
        else:
            # Only now: whoever stops reading half-way gets the feed once more, and so does who got half of it.
            self._validators = Validators.of(page)

    def _document(self, found: Any, base: str, language: str) -> Document:
        entry = _entry(found, base, language, day_first=self._feed.day_first)
        document = self._rules.document(entry)
        if self._feed.articles and document.url and not self._knows(document.id):
            return self._with_article(document, entry)
        return document

    def _with_article(self, document: Document, entry: Entry) -> Document:
        """The document with its page's text; as the feed has it where the page cannot be had, or is no document."""
        try:
            page = self._fetcher.fetch(document.url)
            text = text_of_page(page.body, page.url) if _is_html(page) else ""
            if text:
                # The id stays the feed's: without a URL that identifies, it hangs on the text.
                return msgspec.structs.replace(document, text=self._rules.document(replace(entry, text=text)).text)
        except StoppingError:
            raise
        except (FetchError, RowError) as error:
            logger.warning("article missing source=%s error=%r", self.name, error.message)
        except Exception:  # a library's, over a page that the next read of the entry would meet again
            logger.exception("article missing source=%s url=%r", self.name, shown(document.url))
        return document


def parse_feed(page: Page) -> ParsedFeed:
    """The entries of an RSS or Atom feed, as far as they can be read. Never raises."""
    try:
        return _parsed(page)
    except Exception as error:  # feedparser's own, as UnicodeEncodeError for `&#xD800;`
        return ParsedFeed((), problem=f"it cannot be parsed: {type(error).__name__}: {error}")


def _parsed(page: Page) -> ParsedFeed:
    if not page.body:
        return ParsedFeed((), problem="it is empty")
    # Decoded first, by feedparser's own rules: only then do the bytes `<!ENTITY` stand for what the parser meets.
    # In UTF-7, EBCDIC or ISO 2022 a declaration is spelled otherwise.
    body = convert_to_utf8({"content-type": page.headers.get("content-type", "application/xml")}, page.body, {})
    if b"<!ENTITY" in body:
        return ParsedFeed(
            (), problem="it declares XML entities, by which a few bytes can become gigabytes, or a local file"
        )
    headers = {"content-location": page.url, "content-type": "application/xml; charset=utf-8"}
    # A stream, not bytes, which feedparser would take for a file's name first. It need not clean HTML of which only
    # the text is kept.
    feed: Any = feedparser.parse(
        BytesIO(body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    problem = ""
    if isinstance(feed.get("bozo_exception"), SAXException):
        problem = str(feed.bozo_exception)
    elif not feed.get("version") and not feed.entries:
        problem = "it is neither RSS nor Atom"
    language = str(feed.feed.get("language", ""))
    return ParsedFeed(tuple(feed.entries), language, problem)


def _entry(entry: Any, base: str, language: str, *, day_first: bool) -> Entry:
    contents = [text for text in (_plain(content) for content in entry.get("content", ())) if text]
    summary = _plain(entry.get("summary_detail") or {})
    return Entry(
        text=max([summary, *contents], key=len),
        title=_plain(entry.get("title_detail") or {}),
        published=_published(entry, day_first),
        url=_absolute(base, str(entry.get("link", ""))),
        native_id=str(entry.get("id", "")),
        language=str(entry.get("language", "")) or language,
    )


def _absolute(base: str, link: str) -> str:
    try:
        return urljoin(base, link.strip()) if link else ""
    except ValueError:
        return ""


def _plain(detail: Any) -> str:
    value = str(detail.get("value", ""))
    return text_of_fragment(value) if detail.get("type") in HTML_TYPES else value


def _published(entry: Any, day_first: bool) -> object:
    for name in ("published", "updated", "created"):
        text = str(entry[name]) if name in entry else ""
        if text:
            return _moment(text, entry.get(f"{name}_parsed"), day_first)
    return None


def _moment(text: str, guess: Any, day_first: bool) -> object:
    """What the text says. feedparser's guess, which invents what is missing, only for spellings that it alone knows."""
    try:
        return parse_date(text, day_first=day_first)
    except UnknownZoneError:  # it takes those for UTC
        return text
    except ValueError:
        pass
    try:
        return float(calendar.timegm(guess)) if guess else text
    except ValueError:  # a year below 1
        return text


def _is_html(page: Page) -> bool:
    return page.headers.get("content-type", HTML_TYPES[0]).partition(";")[0].strip().lower() in HTML_TYPES
