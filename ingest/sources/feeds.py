"""An RSS or Atom feed as documents, with the text of its articles where that is asked for."""

import calendar
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import urljoin
from xml.sax import SAXException

import feedparser
import msgspec

from ingest.article import text_of_fragment, text_of_page
from ingest.entries import Entry, EntryRules, Item, Rejected
from ingest.errors import FetchError, RowError, StoppingError
from ingest.http import Fetcher, Page, Validators
from ingest.settings import FeedSource, IngestSettings
from stream.records import Document, SourceKind

log = logging.getLogger(__name__)

HTML_TYPES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """What could be read of a feed, and what is wrong with it."""

    entries: tuple[Entry, ...]
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
            raise FetchError(f"{self._feed.url} is no feed: {parsed.problem}", fix="check the address in a browser")
        for number, entry in enumerate(parsed.entries, start=1):
            yield self._item(number, entry)
        if parsed.problem:
            yield Rejected("the feed", f"it is broken, what could be read was kept: {parsed.problem}")
        # Only now: whoever stops reading half-way gets the feed once more.
        self._validators = Validators.of(page)

    def _item(self, number: int, entry: Entry) -> Item:
        try:
            document = self._rules.document(entry)
            if self._feed.articles and document.url and not self._knows(document.id):
                return self._with_article(document, entry)
            return document
        except RowError as error:
            return Rejected(f"entry {number}", error.message)

    def _with_article(self, document: Document, entry: Entry) -> Document:
        """The document with its page's text; as the feed has it where the page cannot be had."""
        try:
            page = self._fetcher.fetch(document.url)
        except StoppingError:
            raise
        except FetchError as error:
            log.warning("event=article_missing source=%s error=%r", self.name, error.message)
            return document
        text = text_of_page(page.body, page.url) if _is_html(page) else ""
        if not text:
            return document
        # The id stays the feed's: without a URL that identifies, it hangs on the text.
        return msgspec.structs.replace(document, text=self._rules.document(replace(entry, text=text)).text)


def parse_feed(page: Page) -> ParsedFeed:
    """The entries of an RSS or Atom feed, as far as they can be read."""
    if b"<!ENTITY" in page.body.replace(b"\0", b""):  # in UTF-16 too
        return ParsedFeed((), "it declares XML entities, by which a few bytes can become gigabytes, or a local file")
    headers = {
        "content-location": page.url,
        "content-type": page.headers.get("content-type", "application/xml"),
    }
    # A stream, not bytes, which feedparser would take for a file's name first. It need not clean HTML of which only
    # the text is kept.
    feed: Any = feedparser.parse(
        BytesIO(page.body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    problem = ""
    if isinstance(feed.get("bozo_exception"), SAXException):
        problem = str(feed.bozo_exception)
    elif not feed.get("version") and not feed.entries:
        problem = "it is neither RSS nor Atom"
    language = str(feed.feed.get("language", ""))
    return ParsedFeed(tuple(_entry(entry, page.url, language) for entry in feed.entries), problem)


def _entry(entry: Any, base: str, language: str) -> Entry:
    contents = [text for text in (_plain(content) for content in entry.get("content", ())) if text]
    summary = _plain(entry.get("summary_detail") or {})
    return Entry(
        text=max([summary, *contents], key=len),
        title=_plain(entry.get("title_detail") or {}),
        published=_published(entry),
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


def _published(entry: Any) -> object:
    for name in ("published", "updated", "created"):
        if entry.get(f"{name}_parsed"):
            return float(calendar.timegm(entry[f"{name}_parsed"]))
        if entry.get(name):
            return str(entry[name])
    return None


def _is_html(page: Page) -> bool:
    return page.headers.get("content-type", HTML_TYPES[0]).partition(";")[0].strip().lower() in HTML_TYPES
