"""`finsentry classify` on files that hold nothing, and `explain` on more than a bundle reads."""

import json
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
    assert "a.csv, row 2: it has no text" in capsys.readouterr().err


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
