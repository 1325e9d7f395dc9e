"""What is no archive or no text is refused by name by every command that reads it, before anything is started."""

from pathlib import Path

import pytest

from tests.integration.commands import Finsentry, processes_in

READERS = {
    "classify": ("classify",),
    "backtest": ("backtest",),
    "replay": ("replay",),
    "up": ("up", "--for", "60", "--replay"),
}

BAD: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", "is empty"),
    "binary.csv": (b"\x00\x01\x02", "is a binary file"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n", "is no text file"),
    "columns.csv": (b"a,b\n1,2\n", "has no text column"),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_bad_file_is_refused_by_name(alone: Finsentry, tmp_path: Path, reader: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, (content, _) in BAD.items():
        (tmp_path / name).write_bytes(content)
    said = {name: what for name, (_, what) in BAD.items()} | {"folder.csv": "is a directory", "gone.csv": "gone.csv"}

    for name, what in said.items():
        done = alone.run(*READERS[reader], name)
        assert done.returncode == 2, (name, done.stderr)
        assert name in done.stderr
        assert what in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("reader", [name for name in READERS if name != "classify"])
def test_a_column_can_be_named_where_none_speaks_for_itself(alone: Finsentry, tmp_path: Path, reader: str) -> None:
    (tmp_path / "a.csv").write_text("when,said\nnever,Shares fall\n")
    done = alone.run(*READERS[reader], "a.csv", "--column", "text=spoken", "--column", "time=when")
    assert done.returncode == 2
    assert "spoken" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("up", "--replay", "a.csv", "--report", "none/out.json"), "there is no folder none"),
        (("backtest", "a.csv", "--plot", "out.xyz"), "out.xyz is none of .png, .svg, .pdf"),
        (("backtest", "a.csv", "--windows", "."), ". is a directory"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(
    alone: Finsentry, tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    (tmp_path / "a.csv").write_text("time,text\n2020-03-09,Shares fall\n")
    done = alone.run(*command)
    assert done.returncode == 2
    assert said in done.stderr
    assert processes_in(tmp_path) == []


def test_bad_rows_are_named_and_the_others_published(finsentry: Finsentry, topics: object, tmp_path: Path) -> None:
    rows = ["time,text", "2020-03-09,Shares fall", "2999-01-01,From the future", f"2020-03-10,{'x' * 5_000_000}"]
    (tmp_path / "a.csv").write_bytes("\n".join([*rows, "2020-03-11,Caf"]).encode() + b"\xe9\n2020-03-12,Shares rise\n")

    done = finsentry.run("replay", "a.csv")

    assert done.returncode == 0, done.stderr
    assert "5 rows: 3 rejected, 2 published" in done.stdout
    for row in (3, 4, 5):
        assert f"a.csv, row {row}" in done.stderr
    assert len(finsentry.run("dump", "documents").stdout.splitlines()) == 2
