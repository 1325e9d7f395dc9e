"""What is crawled, how politely, and what ingest remembers. Section `ingest`."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ingest.urls import shown
from stream.records import SourceKind

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""A source's name is a metric label and part of document ids: short, plain and for ever."""

UTC_AHEAD_HOURS = 14
"""The local time zone that is furthest ahead of UTC: a local time read as UTC is never more than this in the future."""


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(
        pattern=NAME,
        description="Unique; lower case letters, digits, dot, dash, underscore.",
        examples=["business-desk"],
    )
    url: str = Field(
        description="Where it is fetched from, http or https.", examples=["https://news.example/business/rss.xml"]
    )
    language: str = Field("", pattern="^([a-z]{2})?$", description="ISO 639-1, where the source does not say it.")
    day_first: bool = Field(False, description="03/04/2020 means 3 April; otherwise March 4.")

    @field_validator("url")
    @classmethod
    def _http_only(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{shown(url)!r} is no http or https address")
        return url


class FeedSource(_Source):
    """An RSS or Atom feed."""

    type: Literal["feed"] = Field("feed", description="Says that the source is a feed.")
    kind: SourceKind = Field("news", description="news, social or filing.")
    every_seconds: float = Field(300.0, gt=0, description="Time between the starts of two fetches.")
    articles: bool = Field(
        False, description="Fetch the page of each new entry for its full text; otherwise take the feed's summary."
    )


class FieldPaths(BaseModel):
    """Where a JSON item keeps what a document needs: keys, with dots into nested objects; empty where it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field("id", description="What the API calls the item, the same at every fetch.")
    text: str = Field("text", description="The text that is classified, plain or HTML.")
    title: str = Field("", description="Its headline.")
    url: str = Field("url", description="Address of its page.")
    published_at: str = Field("created_at", description="When it was published.")
    language: str = Field("", description="Its language, ISO 639-1.")


class JsonApiSource(_Source):
    """A JSON API that answers with a list of items: one page in any order, or pages whose cursor leads to newer items.

    A fetch begins at the last cursor: one that leads to older items would find nothing new after the first fetches.
    """

    type: Literal["json_api"] = Field("json_api", description="Says that the source is a JSON API.")
    kind: SourceKind = Field("social", description="news, social or filing.")
    every_seconds: float = Field(60.0, gt=0, description="Time between the starts of two fetches.")
    items: str = Field("", description="Path of the list of items in the answer; empty: the answer is the list.")
    fields: FieldPaths = Field(default_factory=FieldPaths, description="Path of each field in an item.")
    params: dict[str, str] = Field({}, description="Query parameters of every request.")
    cursor_param: str = Field(
        "",
        description="Query parameter that takes the cursor, which must lead to newer items; empty: only the first page"
        " is read, which is right where the newest items come first.",
    )
    next_cursor: str = Field("", description="Path of the next cursor in the answer.")
    max_pages: int = Field(20, ge=1, le=1000, description="Most pages of one fetch; the next one goes on from there.")
    robots: bool = Field(True, description="Honour robots.txt; off only for an API whose owner agreed to the crawler.")
    token_file: Path | None = Field(
        None, description="File with a bearer token; read at every fetch, never logged.", examples=["secrets/token"]
    )

    @model_validator(mode="after")
    def _whole_cursor(self) -> "JsonApiSource":
        if bool(self.cursor_param) != bool(self.next_cursor):
            raise ValueError("cursor_param and next_cursor go together: the one takes what the other gives")
        return self


SourceSettings = Annotated[FeedSource | JsonApiSource, Field(discriminator="type")]


class IngestSettings(BaseModel):
    """Sources, the polite fetcher's limits, and the memory for duplicates."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sources: tuple[SourceSettings, ...] = Field((), description="What is crawled.")

    user_agent: str = Field("FinSentry/0.1", pattern=r"^[!-~][ -~]*$", description="How the crawler calls itself.")
    contact: str = Field("", pattern=r"^[ -~]*$", description="Address or page for site owners, in the user agent.")
    timeout_seconds: float = Field(
        30.0, gt=0, description="Most time for one request, from connecting to the last byte."
    )
    max_response_bytes: int = Field(10_000_000, ge=1000, description="A longer answer is cut off and refused.")
    max_redirects: int = Field(5, ge=0, le=20, description="Most redirects in a row.")
    host_delay_seconds: float = Field(1.0, ge=0, description="Shortest time between two requests to one host.")
    robots_hours: float = Field(12.0, gt=0, le=24, description="How long a robots.txt is believed; RFC 9309 says 24.")
    max_backoff_seconds: float = Field(3600.0, gt=0, description="Longest wait for a source that fails.")
    workers: int = Field(8, ge=1, le=256, description="Sources that are fetched at the same time.")
    allow_private_addresses: bool = Field(
        False, description="Fetch from loopback and private networks too. For a closed network of your own only."
    )
    private_exceptions: tuple[str, ...] = Field(
        (), description="host:port pairs, exactly as in the URL, that may be private: the simulated web is one."
    )

    memory_hours: float = Field(
        72.0, gt=0, le=24 * 30, description="How long an id is known, and how far apart copies of one story may be."
    )
    memory_documents: int = Field(
        200_000,
        ge=1,
        description="Most documents remembered; about 2 kB each. An older one is published again when it is met again.",
    )
    near_duplicate: float = Field(
        0.8, gt=0.5, le=1, description="Share of word pairs that two texts must have in common to be one story."
    )

    max_future_hours: float = Field(
        UTC_AHEAD_HOURS,
        ge=0,
        le=24 * 366,
        description="A date further ahead is an error; a nearer one is taken as now.",
    )
    max_text_bytes: int = Field(1_000_000, ge=1, description="A longer text is refused; see stream.max_text_bytes.")
    phone_regions: tuple[str, ...] = Field(
        ("US", "GB"), description="Countries (ISO 3166) whose national phone numbers are masked in social text."
    )

    @field_validator("private_exceptions")
    @classmethod
    def _host_and_port(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        for pair in pairs:
            if not re.fullmatch(r"[^/@\s]+:\d{1,5}", pair):
                raise ValueError(f"{pair!r} is not host:port")
        return tuple(pair.lower() for pair in pairs)

    @field_validator("sources")
    @classmethod
    def _names_once(cls, sources: tuple[FeedSource | JsonApiSource, ...]) -> tuple[FeedSource | JsonApiSource, ...]:
        seen: set[str] = set()
        for source in sources:
            if source.name in seen:
                raise ValueError(f"two sources are called {source.name!r}")
            seen.add(source.name)
        return sources
