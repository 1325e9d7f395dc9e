"""Archives as they come: columns under many names, cells over lines, rows and files that are broken."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.entries import Rejected
from ingest.errors import InputError
from ingest.identity import document_id
from ingest.settings import IngestSettings
from ingest.sources.archive import ArchiveOptions, ArchiveSource
from stream.records import Document
from tests.shared import shared
from tests.unit.ingest.documents import NOW

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes `headlines.csv` and gives its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "headlines.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(
    path: Path, options: ArchiveOptions | None = None, settings: IngestSettings | None = None
) -> tuple[list[Document], list[Rejected]]:
    archive = ArchiveSource(path, settings or IngestSettings(), options, clock=lambda: NOW)
    items = list(archive.read())
    documents = [item for item in items if isinstance(item, Document)]
    rejected = [item for item in items if isinstance(item, Rejected)]
    assert archive.rows == len(documents) + len(rejected)
    return documents, rejected


def test_rows_become_documents_in_event_order(write: Write) -> None:
    documents, rejected = read(
        write("Time,Headlines\n19 July 2020,Third\n17 July 2020,First\n18 July 2020,Second\n18 July 2020,Also second\n")
    )
    assert [document.title for document in documents] == ["First", "Second", "Also second", "Third"]
    assert documents[0].published_at == datetime(2020, 7, 17, tzinfo=UTC)
    assert documents[0].source == "headlines"
    assert documents[0].text == "First"
    assert not rejected


@pytest.mark.parametrize(
    ("time", "text"), [("Time", "Headlines"), ("date", "TITLE"), ("published_at", "text"), (" Created_At ", "headline")]
)
def test_columns_are_found_by_name(write: Write, time: str, text: str) -> None:
    documents, _ = read(write(f"x,{text},{time}\n1,Bank fails,2020-07-19\n"))
    assert documents[0].text == "Bank fails"


def test_columns_can_be_named(write: Write) -> None:
    path = write("when,what,text\n2020-07-19,Bank fails,not this\n")
    documents, _ = read(path, ArchiveOptions(columns={"time": "WHEN", "text": "what"}))
    assert documents[0].text == "Bank fails"


def test_every_column_has_its_place(write: Write) -> None:
    documents, _ = read(
        write(
            "time,title,text,url,source,id,language\n"
            "2020-07-19,Bank fails,Depositors queue.,https://a.example/1,Wire,7,en-GB\n"
        ),
        ArchiveOptions(kind="filing"),
    )
    document = documents[0]
    assert (document.title, document.text) == ("Bank fails", "Depositors queue.")
    assert (document.url, document.source, document.source_kind, document.language) == (
        "https://a.example/1",
        "Wire",
        "filing",
        "en",
    )


def test_of_two_columns_of_one_name_the_first_counts(write: Write) -> None:
    documents, _ = read(write("time,text,Text\n2020-07-19,Bank fails,Another\n"))
    assert documents[0].text == "Bank fails"


def test_rows_are_counted_anew_in_each_reading(write: Write) -> None:
    archive = ArchiveSource(write("time,text\n2020-07-19,Bank fails\n"), IngestSettings(), clock=lambda: NOW)
    for _ in range(2):
        list(archive.read())
        assert archive.rows == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(write: Write, delimiter: str) -> None:
    documents, _ = read(write(f"Time{delimiter}Headlines\n2020-07-19{delimiter}Bank fails\n"))
    assert documents[0].text == "Bank fails"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_header_may_be_quoted(write: Write, delimiter: str) -> None:
    documents, _ = read(write(f'"time"{delimiter}"text"\n"2020-07-19"{delimiter}"Bank fails"\n'))
    assert documents[0].text == "Bank fails"


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write) -> None:
    documents, _ = read(write(b"\xef\xbb\xbf" + "Time,Headlines\n2020-07-19,Bänk fails\n".encode()))
    assert documents[0].text == "Bänk fails"


def test_a_cell_over_several_lines_is_one_headline(write: Write) -> None:
    path = write('Time,Headlines\n2020-07-19,"Business leader  \n\n\n  Bank fails"\nno date,Next\n')
    documents, rejected = read(path)
    assert documents[0].text == "Business leader Bank fails"
    assert rejected[0].where == "row 3 (line 6)"


def test_days_come_first_where_the_option_says_so(write: Write) -> None:
    path = write("Time,Headlines\n03/04/2020,Bank fails\n")
    assert read(path)[0][0].published_at.month == 3
    assert read(path, ArchiveOptions(day_first=True))[0][0].published_at.month == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("February 2019,Bank fails", "names no day"),
        (",Bank fails", "no date"),
        ("soon,Bank fails", "year, month and day"),
        ("2020-07-19,", "no text"),
        ('2020-07-19," \n "', "no text"),
        ("2020-07-19,https://news.example/a www.example.org", "no text but links"),
        ("2026-03-12,Bank fails", "2026-03-12 00:00 UTC is in the future"),
        ("2020-07-19,Bank,fails", "it has 3 cells, the header has 2"),
        ("2020-07-19", "it has 1 cells, the header has 2"),
        ('2020-07-19,"Bank" fails', "line 2: "),
        ("2020-07-19," + "x" * 5_000_000, "the text has 5,000,000 bytes; the limit is 1,000,000"),
        ("2020-07-19," + "x" * 20_000_000, "larger than field limit"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_row_is_reported_with_its_number_and_passed_over(write: Write, row: str, reason: str) -> None:
    documents, rejected = read(write(f"Time,Headlines\n{row}\n2020-07-18,Good one\n"))
    assert [document.text for document in documents] == ["Good one"]
    assert len(rejected) == 1
    assert rejected[0].where == "row 2"
    assert reason in rejected[0].reason


def test_invalid_utf8_is_the_error_of_its_row(write: Write) -> None:
    documents, rejected = read(write(b"Time,Headlines\n2020-07-19,caf\xe9 chain fails\n2020-07-18,Good one\n"))
    assert [document.text for document in documents] == ["Good one"]
    assert str(rejected[0]) == "row 2: Headlines is not valid UTF-8: byte 0xE9"


def test_a_quote_that_is_never_closed_is_reported_where_it_opens(write: Write) -> None:
    documents, rejected = read(write('Time,Headlines\n2020-07-18,Good one\n2020-07-19,"Bank fails\n2020-07-20,Lost\n'))
    assert [document.text for document in documents] == ["Good one"]
    assert str(rejected[0]).startswith("row 3: lines 3 to 4: a quote is opened and never closed")


def test_blank_lines_are_no_rows_but_count_for_the_number(write: Write) -> None:
    documents, rejected = read(write("Time,Headlines\n\n2020-07-18,Good one\n\nsoon,Bad one\n\n"))
    assert len(documents) == 1
    assert rejected[0].where == "row 5"


def test_tomorrow_somewhere_is_today_here(write: Write) -> None:
    documents, rejected = read(write("Time,Headlines\n2026-03-11,Local date of the far east\n"))
    assert documents[0].published_at == NOW
    assert not rejected


def test_the_same_row_has_the_same_id_and_another_day_has_another(write: Write) -> None:
    path = write("Time,Headlines\n2020-07-19,Bank fails\n2020-07-19,Bank  fails\n2020-07-20,Bank fails\n")
    first, second, third = read(path)[0]
    assert first.id == second.id != third.id
    assert read(path)[0][0].id == first.id


def test_an_archive_with_a_header_alone_has_no_rows(write: Write) -> None:
    assert read(write("Time,Headlines\n")) == ([], [])


@pytest.mark.parametrize(
    ("name", "content", "message", "fix"),
    [
        ("a.csv", b"", "is empty", "rows in it"),
        ("a.jsonl", b"", "is empty", "rows in it"),
        ("a.parquet", b"", "is empty", "rows in it"),
        ("a.xml", b"<a/>", "the extension .xml: it is none of .csv, .jsonl", "save it as CSV"),
        ("a", b"Time,Headlines\n", "no extension: it is none of .csv, .jsonl", "save it as CSV"),
        ("a.csv", b"Time,Headlines\n\0\1\2", "binary file: byte 15 is zero", "UTF-8"),
        ("a.csv", gzip.compress(b"Time,Headlines\n", mtime=0), "no text file", "gzip"),
        ("a.csv", b"PK\x03\x04xl/workbook.xml", "no text file", "Excel"),
        ("a.jsonl", b"PAR1....PAR1", "no text file", "name it .parquet"),
        ("a.csv", "Time,Headlines\n".encode("utf-16"), "no text file", "iconv -f UTF-16"),
        ("a.csv", b"Zeit,\xdcberschrift\n", "not UTF-8: byte 0xDC in its header", "iconv"),
        (
            "a.csv",
            b"Time,Number\n2020-07-19,1\n",
            "no text column; its columns are: Time, Number",
            "--column text=NAME",
        ),
        ("a.csv", b"Headlines\nBank fails\n", "no time column; its columns are: Headlines", "--column time=NAME"),
        ("a.csv", b'"Time,Headlines\n', "has no readable header: unexpected end of data", "first line"),
        ("a.csv", b"\n\n", "no text column; its columns are: none", "--column text=NAME"),
        ("a.jsonl", b"Time,Headlines\n2020-07-19,Bank fails\n", "no JSON object in its first", '{"text"'),
        ("a.jsonl", b'{"time": "2020-07-19"}\n', "no text column; its columns are: time", "--column text=NAME"),
        ("a.parquet", b"Time,Headlines\n", "no Parquet file", "written whole"),
    ],
)
def test_a_file_that_is_no_archive_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str, fix: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert fix in caught.value.fix


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nothing.csv")


def test_a_column_that_does_not_exist_is_refused(write: Write) -> None:
    path = write("Time,Headlines\n")
    with pytest.raises(InputError, match="no column 'Body' for text") as caught:
        read(path, ArchiveOptions(columns={"text": "Body"}))
    assert caught.value.fix == "its columns are: Time, Headlines"


def test_a_role_that_does_not_exist_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match="'headline' is nothing that a column can be"):
        read(write("Time,Headlines\n"), ArchiveOptions(columns={"headline": "Headlines"}))


def jsonl(path: Path, *lines: Any) -> Path:
    target = path / "posts.jsonl"
    target.write_bytes(
        b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    )
    return target


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = jsonl(tmp_path, b'\xef\xbb\xbf{"text": "Bank fails", "time": "2020-07-19"}\n')
    assert [document.text for document in read(path)[0]] == ["Bank fails"]


def test_json_lines_are_rows(tmp_path: Path) -> None:
    documents, rejected = read(
        jsonl(
            tmp_path,
            {"id": 7, "text": "Bank fails", "created_at": 1595153460},
            b"\n",
            {"text": "Another fails", "created_at": "2020-07-20", "lang": "de"},
        ),
        ArchiveOptions(kind="social"),
    )
    assert [document.text for document in documents] == ["Bank fails", "Another fails"]
    assert [document.language for document in documents] == ["", "de"]
    assert documents[0].title == ""
    assert not rejected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{oops\n", "no JSON"),
        (b"[1, 2]\n", "a JSON list, no object"),
        (b'{"text": ' + b"[" * 2000 + b"]" * 2000 + b"}\n", "no JSON: maximum recursion depth"),
        (b'{"text": "caf\xe9", "time": "2020-07-19"}\n', "no JSON"),
        ({"text": ["Bank"], "time": "2020-07-19"}, "a cell holds a list"),
        ({"text": "Bank fails", "time": None}, "no date"),
        ({"text": "Bank fails", "time": 10**399}, "a number of that size is no date"),
        ({"time": "2020-07-19"}, "no text"),
    ],
)
def test_a_bad_line_is_reported_and_passed_over(tmp_path: Path, line: Any, reason: str) -> None:
    path = jsonl(tmp_path, {"text": "Good one", "time": "2020-07-19"}, line, {"text": "Also", "time": "2020-07-19"})
    documents, rejected = read(path)
    assert [document.text for document in documents] == ["Good one", "Also"]
    assert rejected[0].where == "row 2"
    assert reason in rejected[0].reason


def test_parquet_has_typed_times_and_numbered_ids(tmp_path: Path) -> None:
    path = tmp_path / "news.parquet"
    times = pa.array([datetime(2020, 7, 19, 10, 11, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"time": times, "text": ["Bank fails", "No date"], "id": [1.0, 2.0]}), path)
    documents, rejected = read(path)
    assert documents[0].published_at == datetime(2020, 7, 19, 10, 11, tzinfo=UTC)
    assert documents[0].id == document_id("news", native_id="1"), "pandas makes 1.0 of it beside a row without one"
    assert [str(item) for item in rejected] == ["row 2: no date"]


def test_a_number_that_is_none_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "news.parquet"
    pq.write_table(pa.table({"time": ["2020-07-19"] * 2, "text": [float("nan")] * 2, "id": [1.0, float("nan")]}), path)
    assert [str(item) for item in read(path)[1]] == ["row 1: no text", "row 2: no text"]


def test_parquet_with_invalid_utf8_loses_that_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "news.parquet"
    texts = pa.array([b"Bank fails", b"caf\xe9", None], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"time": ["2020-07-19"] * 3, "text": texts}), path)
    documents, rejected = read(path)
    assert [document.text for document in documents] == ["Bank fails"]
    assert [str(item) for item in rejected] == ["row 2: text is not valid UTF-8", "row 3: no text"]


@pytest.mark.parametrize("damaged", [slice(4, 60), slice(100, 2000)], ids=["the page's header", "its data"])
def test_parquet_with_a_damaged_page_is_an_error_that_names_the_file(tmp_path: Path, damaged: slice) -> None:
    path = tmp_path / "news.parquet"
    texts = [f"Bank number {number} fails" for number in range(5000)]
    pq.write_table(pa.table({"text": texts, "time": ["2020-07-19"] * 5000}), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[damaged] = b"\xa5" * len(content[damaged])
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"news\.parquet is damaged") as caught:
        read(path)
    assert "write it again" in caught.value.fix


def test_every_row_of_a_real_archive_is_accounted_for() -> None:
    documents, rejected = read(shared("data/replay/guardian.csv"))
    assert (len(documents), len(rejected)) == (17_760, 40)
    assert len({document.id for document in documents}) == 17_759
    assert all("names no day" in item.reason for item in rejected)
    assert not any("\n" in document.text for document in documents)
