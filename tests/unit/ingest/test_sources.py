"""What every kind of source promises: one suite over all of them."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

import httpx
import msgspec
import pytest

from ingest.entries import Rejected, Source
from ingest.errors import FinSentryError
from ingest.settings import FeedSource, IngestSettings, JsonApiSource
from ingest.sources.archive import ArchiveOptions, ArchiveSource
from ingest.sources.feeds import Feed
from ingest.sources.json_api import JsonApi
from stream.records import Document, encode
from tests.unit.ingest.documents import NOW
from tests.unit.ingest.web import Web

SETTINGS = IngestSettings(host_delay_seconds=0.0, max_text_bytes=10_000)
TEXT = "Regulators shut Aldmere Savings Bank after a run on deposits"


@dataclass(frozen=True)
class Given:
    """An entry as every source can hold it."""

    text: str = TEXT
    date: str = "2026-03-10T11:00:00+00:00"
    id: str = "1"


class Kind(ABC):
    """How to make a source of one kind that holds given entries, or broken content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock: Callable[[], datetime] = lambda: NOW

    def holding(self, *entries: Given) -> Source:
        return self.source(self.content(entries))

    @abstractmethod
    def content(self, entries: Sequence[Given]) -> bytes: ...

    @abstractmethod
    def source(self, content: bytes) -> Source: ...


class CsvKind(Kind):
    suffix = ".csv"

    def content(self, entries: Sequence[Given]) -> bytes:
        path = self.folder / "made.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time", "text", "id"])
            writer.writerows([entry.date, entry.text, entry.id] for entry in entries)
        return path.read_bytes()

    def source(self, content: bytes) -> Source:
        path = self.folder / f"wire{self.suffix}"
        path.write_bytes(content)
        return ArchiveSource(path, SETTINGS, ArchiveOptions(), clock=self.clock)


class JsonLinesKind(CsvKind):
    suffix = ".jsonl"

    def content(self, entries: Sequence[Given]) -> bytes:
        rows = [{"time": entry.date, "text": entry.text, "id": entry.id} for entry in entries]
        return "".join(json.dumps(row) + "\n" for row in rows).encode()


class FeedKind(Kind):
    url = "https://wire.example/rss"

    def content(self, entries: Sequence[Given]) -> bytes:
        items = "".join(
            f"<entry><id>urn:{entry.id}</id><title>{escape(entry.text)}</title><updated>{entry.date}</updated></entry>"
            for entry in entries
        )
        return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>w</title>{items}</feed>'.encode()

    def source(self, content: bytes) -> Source:
        web = Web({self.url: httpx.Response(200, content=content)}, SETTINGS)
        return Feed(FeedSource(name="wire", url=self.url), SETTINGS, web.fetcher, clock=self.clock)


class JsonApiKind(Kind):
    url = "https://wire.example/api"

    def content(self, entries: Sequence[Given]) -> bytes:
        return json.dumps([{"id": e.id, "text": e.text, "created_at": e.date} for e in entries]).encode()

    def source(self, content: bytes) -> Source:
        web = Web({self.url: httpx.Response(200, content=content)}, SETTINGS)
        return JsonApi(JsonApiSource(name="wire", url=self.url), SETTINGS, web.fetcher, clock=self.clock)


KINDS: tuple[Callable[[Path], Kind], ...] = (CsvKind, JsonLinesKind, FeedKind, JsonApiKind)


@pytest.fixture(params=KINDS, ids=lambda kind: str(kind.__name__))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    made: Kind = request.param(tmp_path)
    return made


def documents(source: Source) -> list[Document]:
    return [item for item in source.read() if isinstance(item, Document)]


def rejections(source: Source) -> list[Rejected]:
    return [item for item in source.read() if isinstance(item, Rejected)]


def test_an_entry_becomes_a_whole_document(kind: Kind) -> None:
    source = kind.holding(Given())
    (document,) = source.read()
    assert isinstance(document, Document)
    assert document.text == TEXT
    assert (document.source, document.source_kind) == (source.name, source.kind)
    assert document.published_at == NOW - timedelta(hours=1)
    assert document.fetched_at == NOW
    assert document.story == document.id
    assert len(bytes.fromhex(document.id)) == 16
    assert msgspec.json.decode(encode(document), type=Document) == document


def test_a_source_that_is_read_twice_gives_the_same_ids(kind: Kind) -> None:
    entries = [Given(id=str(number), text=f"{TEXT} {number}") for number in range(5)]
    first = [document.id for document in documents(kind.holding(*entries))]
    assert len(set(first)) == 5
    assert [document.id for document in documents(kind.holding(*reversed(entries)))] == first[::-1]


def test_an_entry_that_stands_twice_has_one_id(kind: Kind) -> None:
    first, second = documents(kind.holding(Given(), Given()))
    assert first.id == second.id


def test_every_entry_is_accounted_for(kind: Kind) -> None:
    entries = [Given(id=str(number), date="soon" if number % 3 == 0 else Given().date) for number in range(30)]
    assert len(list(kind.holding(*entries).read())) == 30


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Given(text=""), "no text"),
        (Given(text=" \n\t "), "no text"),
        (Given(date="2026-03-12"), "in the future"),
        (Given(date="2126-03-12"), "in the future"),
        (Given(date="not today"), "year, month and day"),
        (Given(date="0000-00-00 00:00:00"), "is no date"),
        (Given(date="February 2019"), "names no day"),
        (Given(text="x" * 10_001), "the text has 10,001 bytes; the limit is 10,000"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_entry_that_cannot_be_a_document_costs_itself_alone(kind: Kind, entry: Given, reason: str) -> None:
    items = kind.holding(Given(id="1"), entry, Given(id="3"))
    (rejected,) = rejections(items)
    assert rejected.where
    assert reason in rejected.reason
    assert len(documents(items)) == 2


def test_a_fault_that_nobody_foresaw_costs_one_entry_alone(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    times = iter([NOW, None, NOW])

    def clock() -> datetime:
        now = next(times)
        if now is None:
            raise AssertionError("too many bodies")
        return now

    kind.clock = clock
    items = list(kind.holding(*(Given(id=str(number)) for number in range(3))).read())
    (rejected,) = (item for item in items if isinstance(item, Rejected))
    assert rejected.reason == "it cannot be read: AssertionError: too many bodies"
    assert sum(isinstance(item, Document) for item in items) == 2
    assert "entry cannot be read source=wire" in caplog.text


def test_white_space_in_a_text_is_collapsed(kind: Kind) -> None:
    assert documents(kind.holding(Given(text="  Bank \n\n fails\t today ")))[0].text == "Bank fails today"


def test_a_date_that_is_ahead_by_a_time_zone_is_now(kind: Kind) -> None:
    assert documents(kind.holding(Given(date=(NOW + timedelta(hours=13)).isoformat())))[0].published_at == NOW


@pytest.mark.parametrize(
    "text", ["Bänk – “fails” 银行 🏦", "a < b & c > d", 'it\'s \\ "quoted"', "x\u0000y".replace("\0", "")]
)
def test_any_text_arrives_as_it_is(kind: Kind, text: str) -> None:
    assert documents(kind.holding(Given(text=text)))[0].text == text


def test_nothing_new_is_no_error(kind: Kind) -> None:
    if not isinstance(kind, JsonLinesKind):  # an empty file is no archive, and JSON Lines has no header
        assert list(kind.holding().read()) == []


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\0\0", b"<html>no such page</html>", b"\xff\xfe\x00"])
def test_content_of_another_kind_is_an_error_that_says_where(kind: Kind, content: bytes) -> None:
    with pytest.raises(FinSentryError) as caught:
        list(kind.source(content).read())
    assert "wire" in caught.value.message


def test_invalid_utf8_costs_one_entry_or_is_an_error(kind: Kind) -> None:
    """Never silence, and never half a character in a document."""
    content = kind.content([Given(text="caf\u00e9 chain fails"), Given(id="2")])
    broken = content.replace("\u00e9".encode(), b"\xe9").replace(b"\\u00e9", b"\xe9")
    try:
        found = documents(kind.source(broken))
    except FinSentryError:
        return
    assert all("\ufffd" not in document.text and document.text.isprintable() for document in found)
    assert found[-1].text == TEXT


def test_a_document_is_never_newer_than_its_fetch(kind: Kind) -> None:
    dates = [(NOW + timedelta(hours=hours)).isoformat() for hours in range(-5, 14)]
    for document in documents(kind.holding(*(Given(date=date, id=date) for date in dates))):
        assert document.published_at <= document.fetched_at
        assert isinstance(document.published_at, datetime)
