"""Texts are read from whatever a user gives, and what is no text is said by its place."""

import io
import sys
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.texts import Format, read_texts


def texts(file: Path | None, form: Format = "auto", column: str = "") -> list[str]:
    return [str(one) for one in read_texts(file, form, column)]


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_lines_are_texts_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    file = written(tmp_path, "texts.txt", b"\xef\xbb\xbfFirst\r\n\n  Second \n")

    assert texts(file) == ["First", "Second"]


def test_standard_input_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"One\nTwo\n")

    assert texts(None) == ["One", "Two"]


def test_standard_input_can_be_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b'Time,Headlines\n1 May 2020,"Two\nlines"\n')

    assert texts(None, "csv") == ["Two\nlines"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", b"id,text\n1,Hello\n"), ("t.jsonl", b'{"id": 1, "text": "Hello"}\n')],
)
def test_the_text_column_of_a_table_is_found(tmp_path: Path, name: str, content: bytes) -> None:
    assert texts(written(tmp_path, name, content)) == ["Hello"]


def test_another_column_can_be_named(tmp_path: Path) -> None:
    file = written(tmp_path, "t.csv", b"text,Quote\na,b\n")

    assert texts(file, column="quote") == ["b"]


def test_a_missing_column_lists_those_that_there_are(tmp_path: Path) -> None:
    file = written(tmp_path, "t.csv", b"id,number\n1,2\n")

    with pytest.raises(InputError, match=r"t\.csv has no text column; its columns are: id, number") as caught:
        texts(file)

    assert "--column" in caught.value.fix


def test_lines_have_no_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"One\n")

    for file in (written(tmp_path, "t.txt", b"One\n"), None):
        name = "t.txt" if file else "standard input"
        with pytest.raises(InputError, match=f"{name} is read as lines, which have no column 'Quote'") as caught:
            texts(file, column="Quote")

        assert ".csv, .jsonl, .ndjson, .parquet" in caught.value.fix
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(("name", "place"), [("t.txt", "line 2"), ("t.csv", "row 2")])
def test_a_link_alone_is_no_text(tmp_path: Path, name: str, place: str) -> None:
    file = written(tmp_path, name, b"text\nhttps://news.example/a\nHello https://news.example/a\n")

    assert texts(file)[-2:] == [
        f"{file}, {place}: it holds nothing but links and what cannot be seen",
        "Hello https://news.example/a",
    ]


def test_a_row_without_text_is_named_and_passed_over(tmp_path: Path) -> None:
    file = written(tmp_path, "t.csv", b"id,text\n1,\n2,Hello\n")

    assert texts(file) == [f"{file}, row 2: it has no text", "Hello"]


def test_a_line_that_is_not_utf_8_is_named_and_passed_over(tmp_path: Path) -> None:
    file = written(tmp_path, "t.txt", b"Caf\xe9\nHello\n")

    assert texts(file) == [f"{file}, line 1: it is not valid UTF-8: byte 0xE9", "Hello"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "is empty"),
        ("binary.txt", b"\x01\x02\x00\x01", "is a binary file"),
        ("picture.txt", b"\x89PNG\r\n\x1a\nIHDR", "is no text file"),
        ("late.txt", b"one\ntwo\n\x00", "is a binary file"),
        ("empty.csv", b"", "is empty"),
        ("binary.csv", b"a\x00b", "is a binary file"),
    ],
)
def test_input_that_is_no_text_is_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=f"{name} {said}"):
        texts(written(tmp_path, name, content))


@pytest.mark.parametrize(("form", "content"), [("csv", b""), ("jsonl", b"no JSON\n"), ("parquet", b"PAR1")])
def test_a_table_on_standard_input_is_called_so(monkeypatch: pytest.MonkeyPatch, form: Format, content: bytes) -> None:
    stdin(monkeypatch, content)

    with pytest.raises(InputError, match=r"^standard input ") as caught:
        texts(None, form)

    assert "tmp" not in str(caught.value)


def test_a_directory_and_a_missing_file_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        texts(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        texts(tmp_path / "nowhere.txt")
