import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.table import Place, read_rows
from model.errors import InputError


def csv_of(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8", newline="")
    return path


def cells(path: Path) -> list[list[str]]:
    return [row for _, row in read_rows(path, "text", "label")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('text,label\n"Shares",fall again,negative\n', "row 1 (line 2): 3 cells instead of 2; quote commas"),
        ("text,label\nfine,0\nShares, again,0\n", "row 2 (line 3): 3 cells instead of 2; quote commas"),
        ("text,label\nfine,0\nno label\n", "row 2 (line 3): 1 cells instead of 2; quote commas"),
        ('text,label\n"two\nlines",0\n\na,b,c\n', "row 2 (line 5): 3 cells instead of 2; quote commas"),
        ("text,label,\nfine,0\n", "row 1 (line 2): 2 cells instead of 3; quote commas"),
        ('text,label\nfine,0\n"no end,0\nmore,1\n', "a quote is not closed, starting at line 3"),
        (
            'text,label\n"no end,0\nmore,1\n"so, this",1\n',
            "line 4: text after a closing quote, in the row that begins at ",
        ),
        ("", "is empty, without even a header"),
        ("\n\n", "is empty, without even a header"),
        ("text,mood\nfine,0\n", "no column 'label', only text, mood"),
    ],
)
def test_a_csv_that_is_not_as_it_should_be_is_refused_by_line(tmp_path: Path, content: str, said: str) -> None:
    path = csv_of(tmp_path / "posts.csv", content)
    with pytest.raises(InputError) as refused:
        read_rows(path, "text", "label")
    assert refused.value.message.startswith(f"{path}: {said}")
    assert "Fetch the file again" not in refused.value.fix


def test_a_row_knows_where_it_begins(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "posts.csv", 'text,label\n"one\n\ntwo\n",0\n \nthree,1\n')
    assert read_rows(path, "label", "text") == [
        (Place(path, 1, 2), ["0", "one\n\ntwo\n"]),
        (Place(path, 2, 7), ["1", "three"]),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_any_end_of_line_are_read(tmp_path: Path, end: str) -> None:
    path = csv_of(tmp_path / "posts.csv", end.join(["\ufefftext,label", '"a, ""b""",0', "NA,1"]))
    assert cells(path) == [['a, "b"', "0"], ["NA", "1"]]


def test_a_text_of_a_whole_book_is_read(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "posts.csv", f"text,label\n{'x' * 1_000_000},0\n")
    assert len(cells(path)[0][0]) == 1_000_000


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"posts\.csv: no such file"):
        cells(tmp_path / "posts.csv")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "posts.xlsx").write_bytes(b"")
    with pytest.raises(InputError, match=r"neither \.csv, \.parquet, \.json nor \.jsonl"):
        cells(tmp_path / "posts.xlsx")


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_bytes(b"text,label\nfine,0\nna\xefve,1\n")
    with pytest.raises(InputError, match=r"posts\.csv: line 3: byte 0xEF is not UTF-8"):
        cells(tmp_path / "posts.csv")


@pytest.mark.parametrize(("name", "content"), [("posts.parquet", b"PAR1"), ("posts.json", b"[{")])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        cells(tmp_path / name)


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pd.DataFrame({"text": [name], "label": [0]}).to_parquet(tmp_path / f"{name}.parquet")
    assert cells(tmp_path) == [["a", "0"], ["b", "0"]]


def test_a_folder_without_parquet_files_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this folder holds no Parquet files"):
        cells(tmp_path)


@pytest.mark.parametrize("kind", ["parquet", "parquet folder", "json", "json by column", "jsonl", "ndjson"])
def test_whole_numbers_stay_whole_beside_a_row_without_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"posts.{kind.split()[0]}"
    texts, labels = ["a", "b", None], [0, None, 12]
    if kind.startswith("parquet"):
        # As others than pandas write it, which say nothing of its types.
        table = pa.table({"text": texts, "label": pa.array(labels, pa.int64())})
        if kind == "parquet folder":
            path.mkdir()
        pq.write_table(table, path / "a.parquet" if kind == "parquet folder" else path)
    elif kind.endswith("l") or kind == "ndjson":
        path.write_text("\n".join(json.dumps({"text": a, "label": b}) for a, b in zip(texts, labels, strict=True)))
    elif kind == "json":
        path.write_text(json.dumps([{"text": a, "label": b} for a, b in zip(texts, labels, strict=True)]))
    else:
        path.write_text(json.dumps({"text": dict(enumerate(texts)), "label": dict(enumerate(labels))}))
    assert cells(path) == [["a", "0"], ["b", ""], ["", "12"]]


def test_a_row_of_json_lines_knows_its_line(tmp_path: Path) -> None:
    path = csv_of(
        tmp_path / "posts.jsonl",
        '\ufeff{"text": "one\\ntwo\u2028", "label": 1.0, "id": 7}\r\n\n \t\n{"label": NaN, "text": "b"}\n{"text": "c"}',
    )
    assert read_rows(path, "label", "text") == [
        (Place(path, 1, 1), ["1", "one\ntwo\u2028"]),
        (Place(path, 2, 4), ["", "b"]),
        (Place(path, 3, 5), ["", "c"]),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "b"', "row 2 (line 3): no JSON: Expecting ',' delimiter at character "),
        ('{"text": "b"} {}', "row 2 (line 3): no JSON: Extra data at character 15"),
        ('["b", 0]', "row 2 (line 3): a JSON list, no object"),
        ("b", "row 2 (line 3): no JSON: Expecting value at character 1"),
        ("[" * 100_000, "row 2 (line 3): no JSON that can be read: maximum recursion depth"),
        (f'{{"text": {"1" * 5000}}}', "row 2 (line 3): no JSON that can be read: Exceeds the limit"),
    ],
)
def test_a_line_that_is_no_json_object_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = csv_of(tmp_path / "posts.jsonl", f'{{"text": "a", "label": 0}}\n\n{line}\n')
    with pytest.raises(InputError) as refused:
        cells(path)
    assert refused.value.message.startswith(f"{path}: {said}")
    assert refused.value.fix.startswith("Write an object a line")


def test_json_lines_without_a_row_or_without_the_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"posts\.jsonl: is empty, without a single row"):
        cells(csv_of(tmp_path / "posts.jsonl", "\n \n"))
    with pytest.raises(InputError, match=r"posts\.jsonl: no column 'label', only text, mood, id"):
        cells(csv_of(tmp_path / "posts.jsonl", '{"text": "a", "mood": 0}\n{"id": 1, "text": "b"}\n'))
    (tmp_path / "posts.jsonl").write_bytes(b'{"text": "a", "label": 0}\n{"text": "\xef", "label": 0}\n')
    with pytest.raises(InputError, match=r"posts\.jsonl: line 2: byte 0xEF is not UTF-8"):
        cells(tmp_path / "posts.jsonl")


def test_json_lines_that_are_called_json_are_told_their_name(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "posts.json", '{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n')
    with pytest.raises(InputError, match=r"posts\.json: cannot be read: Trailing data.*\n.*\.jsonl if it is one"):
        cells(path)
