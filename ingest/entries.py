"""From what a source found to a document, with one set of rules for every source."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ingest.dates import parse_date
from ingest.errors import FinSentryError, RowError
from ingest.identity import canonical_url, document_id
from ingest.settings import IngestSettings
from model.text import says_nothing
from stream.records import Document, SourceKind

logger = logging.getLogger(__name__)

MAX_URL = 2048
"""A longer one is no link that a person could use; browsers and sites stop here too."""

MAX_TITLE = 500
"""Characters. Titles go with every score and as evidence into buckets and alerts; what is longer is a body."""

MAX_SOURCE = 100

_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row, feed entry or post as its source wrote it."""

    text: str = ""
    title: str = ""
    published: object = None
    """Anything that `parse_date` takes; None where the source gives no date."""
    url: str = ""
    native_id: str = ""
    source: str = ""
    """Where an archive names the site of each row."""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that cannot become a document, and why. Never fatal."""

    where: str
    """As a person would look for it: `row 17 (line 25)`, `entry 3`."""
    reason: str

    @classmethod
    def of(cls, document: Document, reason: str) -> "Rejected":
        """A document that is refused later on, when its place in the source is no longer known."""
        return cls(document.url or f"document {document.id}", reason)

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


Item = Document | Rejected


def one_item(source: str, where: str, make: Callable[[], Document]) -> Item:
    """What `make` gives, or `Rejected` with the reason where it cannot: one entry must not silence its `source`.

    Raises what is no fault of the entry: every `FinSentryError` but `RowError`.
    """
    try:
        return make()
    except RowError as error:
        return Rejected(where, error.message)
    except FinSentryError:
        raise
    except Exception as error:  # ours or a library's, which the next read of the same entry would meet again
        logger.exception("entry cannot be read source=%s where=%r", source, where)
        return Rejected(where, f"it cannot be read: {type(error).__name__}: {error}")


class Source(Protocol):
    """Where documents come from. `read` may be called again, and then gives what is new or the same once more."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> SourceKind: ...

    def read(self) -> Iterator[Item]:
        """Every document found, and every entry that cannot be one with the reason.

        Bad content never raises: it is yielded as `Rejected`. Raises `FetchError` where nothing could be read at all,
        `InputError` where that cannot change by trying again.
        """
        ...


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What an entry must keep to become a document of one source."""

    source: str
    kind: SourceKind
    clock: Callable[[], datetime]
    max_text_bytes: int
    max_future: timedelta
    day_first: bool = False
    language: str = ""
    """Where the entry does not say its own."""
    undated_is_new: bool = False
    """An entry without a date is taken as published when it was fetched: right for a feed, wrong for an archive."""

    @classmethod
    def of(
        cls,
        settings: IngestSettings,
        source: str,
        kind: SourceKind,
        clock: Callable[[], datetime],
        *,
        day_first: bool = False,
        language: str = "",
        undated_is_new: bool = False,
    ) -> "EntryRules":
        """The rules that the settings give for one source."""
        return cls(
            source=source,
            kind=kind,
            clock=clock,
            max_text_bytes=settings.max_text_bytes,
            max_future=timedelta(hours=settings.max_future_hours),
            day_first=day_first,
            language=language,
            undated_is_new=undated_is_new,
        )

    def document(self, entry: Entry) -> Document:
        """The document, as the head of its own story. Raises `RowError` with the reason where it cannot be one."""
        title = self._readable(entry.title)
        text = self._readable(entry.text) or title
        if not text:
            raise RowError("no text")
        if says_nothing(text) and says_nothing(title):  # a post that is a link alone; the stream would refuse it
            raise RowError("no text but links and what cannot be seen")
        now = self.clock()
        published = self._published(entry, now)
        url = entry.url.strip() if len(entry.url) <= MAX_URL and canonical_url(entry.url) else ""
        dated = "" if entry.published is None else published.isoformat()
        source = collapse(entry.source)[:MAX_SOURCE] or self.source
        key = document_id(source, url=url, native_id=entry.native_id, content=f"{dated} {text}")
        return Document(
            id=key,
            story=key,
            url=url,
            title=title[:MAX_TITLE],
            text=text,
            source=source,
            source_kind=self.kind,
            language=language_code(entry.language) or self.language,
            published_at=min(published, now),
            fetched_at=now,
        )

    def _readable(self, text: str) -> str:
        size = len(text) if len(text) * 4 <= self.max_text_bytes else len(text.encode("utf-8", "surrogatepass"))
        if size > self.max_text_bytes:
            raise RowError(f"the text has {size:,} bytes; the limit is {self.max_text_bytes:,} (ingest.max_text_bytes)")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RowError(f"the text is not valid UTF-8 at character {error.start + 1}") from None
        return collapse(text)

    def _published(self, entry: Entry, now: datetime) -> datetime:
        if entry.published is None and self.undated_is_new:
            return now
        try:
            published = parse_date(entry.published, day_first=self.day_first)
        except ValueError as error:
            raise RowError(str(error)) from None
        if published > now + self.max_future:
            raise RowError(f"the date {published:%Y-%m-%d %H:%M} UTC is in the future")
        return published


def collapse(text: str) -> str:
    """`text` with every run of white space and control characters as one blank, none at the ends."""
    return _BLANK.sub(" ", text).strip()


def language_code(name: str) -> str:
    """The two letters of ISO 639-1 in `en`, `en-GB` or `EN_us`; empty where it has none."""
    code = name.strip().replace("_", "-").partition("-")[0].lower()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""
