"""`finsentry classify` on files that hold nothing, and how far it is; `explain` on more than a bundle reads."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from deploy import cli

LONG = "Regulator shuts down lender after run on deposits " * 2000


@pytest.mark.parametrize(("name", "content"), [("a.csv", "text,source\n"), ("a.csv", "text\n\n"), ("a.txt", "\n")])
def test_a_file_without_rows_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert cli.run(["classify", str(tmp_path / name)]) == 2
    done = capsys.readouterr()
    assert done.out == ""
    assert f"{name} " in done.err


def test_rows_that_hold_no_text_are_named_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text('text,source\n"",wire\n', encoding="utf-8")
    assert cli.run(["classify", str(tmp_path / "a.csv")]) == 0
    done = capsys.readouterr()
    assert done.err.splitlines() == [
        f"finsentry: {tmp_path}/a.csv, row 2: it has no text",
        "1 row read: 0 classified, 1 passed over",
    ]
    assert done.out == ""


def on_terminals(monkeypatch: pytest.MonkeyPatch, *, out: bool, err: bool) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: out)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: err)


@pytest.mark.parametrize(
    ("out", "err", "bar", "summary"),
    [(False, True, True, True), (True, True, False, True), (False, False, False, False), (True, False, False, False)],
)
def test_how_far_it_is_stands_on_a_terminal_that_the_answers_do_not_go_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: bool,
    err: bool,
    bar: bool,
    summary: bool,
) -> None:
    monkeypatch.setattr("deploy.commands.classify.AT_ONCE", 2)
    (tmp_path / "a.txt").write_text("Shares fall\n" * 3, encoding="utf-8")
    on_terminals(monkeypatch, out=out, err=err)
    assert cli.run(["classify", str(tmp_path / "a.txt")]) == 0
    done = capsys.readouterr()
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == ["Shares fall"] * 3
    assert re.findall(r"classifying +\[.*?\] +(\d+)", done.err) == (["0", "2", "3"] if bar else [])
    assert ("3 rows read: 3 classified, 0 passed over\n" in done.err) == summary
    assert bar or summary or not done.err


def test_what_is_passed_over_stands_on_a_line_of_its_own_beside_the_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text('text,source\nShares fall,wire\n"",wire\n', encoding="utf-8")
    on_terminals(monkeypatch, out=False, err=True)
    assert cli.run(["classify", str(tmp_path / "a.csv")]) == 0
    said = capsys.readouterr().err
    assert f"\r\x1b[Kfinsentry: {tmp_path}/a.csv, row 3: it has no text\n" in said
    assert said.endswith("\n2 rows read: 1 classified, 1 passed over\n")


@pytest.mark.parametrize("out", [True, False])
def test_who_types_texts_is_not_disturbed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: bool
) -> None:
    typed = io.TextIOWrapper(io.BytesIO(b"Shares fall\n"))
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    on_terminals(monkeypatch, out=out, err=True)
    assert cli.run(["classify", "-"]) == 0
    done = capsys.readouterr()
    assert json.loads(done.out)["text"] == "Shares fall"
    assert done.err == ""


def test_a_long_text_is_cut_where_reading_ends_and_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", LONG, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    words = found["cut_after_words"]
    assert len(found["words"]) == words < 96
    assert any(abs(word["weight"]) > 0.001 for word in found["words"][-8:])

    assert cli.run(["explain", LONG]) == 0
    assert f"cut after {words} words: {found['model']} reads no more" in capsys.readouterr().out


def test_a_short_text_is_not_said_to_be_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", "Lender fails", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cut_after_words"] is None
    assert cli.run(["explain", "Lender fails"]) == 0
    assert "cut after" not in capsys.readouterr().out
