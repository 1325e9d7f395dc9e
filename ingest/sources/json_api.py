"""A JSON API that lists items in pages, as documents. Which key is what, the settings say."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import msgspec
from lxml.html import defs

from ingest.article import text_of_fragment
from ingest.entries import Entry, EntryRules, Item, one_item
from ingest.errors import FetchError, InputError, RowError
from ingest.http import Fetcher
from ingest.settings import IngestSettings, JsonApiSource
from ingest.urls import shown
from stream.records import Document, SourceKind

CURSOR_REFUSED = (400, 404, 410)
"""What an API answers with where it no longer knows a cursor: cursors expire, and none is worth a source."""

_ATTRIBUTE = r"""\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=]+)"""
_TAG = re.compile(rf"</?([a-z][a-z0-9]*)(?:{_ATTRIBUTE})*\s*/?>", re.IGNORECASE)


class JsonApi:
    """A `Source` over one endpoint. Goes on from the cursor of the last page that was read to its end."""

    def __init__(
        self,
        api: JsonApiSource,
        settings: IngestSettings,
        fetcher: Fetcher,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = api.name
        self.kind: SourceKind = api.kind
        self._api = api
        self._fetcher = fetcher
        self._cursor = ""
        self._rules = EntryRules.of(settings, api.name, api.kind, clock, day_first=api.day_first, language=api.language)

    def read(self) -> Iterator[Item]:
        for _ in range(self._api.max_pages):
            answer = self._ask()
            items = self._items(answer)
            for number, item in enumerate(items, start=1):
                yield one_item(self.name, f"item {number}", partial(self._document, item))
            following = _text(find(answer, self._api.next_cursor)) if self._api.next_cursor else ""
            if not following or following == self._cursor:
                return
            self._cursor = following  # also behind an empty page: whoever stays before it gets nothing else again
            if not items:
                return

    def _ask(self) -> object:
        url = httpx.URL(self._api.url).copy_merge_params(self._api.params)
        if self._cursor:
            url = url.copy_merge_params({self._api.cursor_param: self._cursor})
        try:
            page = self._fetcher.fetch(str(url), headers=self._headers(), robots=self._api.robots)
        except FetchError as error:
            if error.status in CURSOR_REFUSED:
                self._cursor = ""
            raise
        try:
            return msgspec.json.decode(page.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FetchError(f"{shown(self._api.url)} answered with something that is no JSON: {error}") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self._api.token_file is not None:
            try:
                token = self._api.token_file.read_text().strip()
            except (OSError, ValueError) as error:
                raise InputError(
                    f"source {self.name}: token_file {self._api.token_file} cannot be read ({type(error).__name__})",
                    fix="write the token into it, readable for the crawler alone",
                ) from error
            if not token or not token.isascii() or not token.isprintable():  # h11's error would show it
                raise InputError(
                    f"source {self.name}: token_file {self._api.token_file} holds no token",
                    fix="write it into one line: letters, digits and signs of ASCII",
                )
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _items(self, answer: object) -> Sequence[object]:
        items = find(answer, self._api.items)
        if not isinstance(items, list):
            where = repr(self._api.items) if self._api.items else "its top"
            raise FetchError(
                f"{shown(self._api.url)} has no list at {where}",
                fix=f"correct `items` of source {self.name}, or its url",
            )
        return items

    def _document(self, item: object) -> Document:
        fields = self._api.fields
        return self._rules.document(
            Entry(
                text=_plain(_text(find(item, fields.text))),
                title=_plain(_text(find(item, fields.title))) if fields.title else "",
                published=find(item, fields.published_at),
                url=_text(find(item, fields.url)) if fields.url else "",
                native_id=_text(find(item, fields.id)) if fields.id else "",
                language=_text(find(item, fields.language)) if fields.language else "",
            )
        )


def find(value: object, path: str) -> Any:
    """What stands in nested objects at a dotted path; `value` itself for an empty one, None where there is nothing."""
    for key in path.split(".") if path else ():
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _plain(value: str) -> str:
    """HTML as its text. What has no tag of HTML is plain text, whatever other angle brackets stand in it."""
    is_html = any(tag[1].lower() in defs.tags for tag in _TAG.finditer(value))
    return text_of_fragment(value) if is_html else value


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"a field holds a JSON {type(value).__name__} where a text should stand")
