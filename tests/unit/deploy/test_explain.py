"""`finsentry explain`: red is bad news and green good, whichever sentiment is asked about."""

import re
import sys

import pytest

from deploy import cli

RED, GREEN, CYAN, DIM = "31", "32", "36", "2"
LINE = re.compile(r"^  \S+ +([+-])\d+\.\d\d \x1b\[(\d+)m█+\x1b\[0m$", re.MULTILINE)
"""A word: the sign of its weight, and the colour of its bar."""

TEXT = "Lender fails after profit jumps"
"""Has words for and against each sentiment."""


@pytest.mark.parametrize(
    ("toward", "speaks_for", "against"),
    [("negative", RED, GREEN), ("neutral", CYAN, DIM), ("positive", GREEN, RED)],
)
def test_a_colour_says_whether_it_is_good_news(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toward: str, speaks_for: str, against: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.run(["explain", TEXT, "--toward", toward]) == 0
    assert set(LINE.findall(capsys.readouterr().out)) == {("+", speaks_for), ("-", against)}


def test_a_file_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", TEXT]) == 0
    said = capsys.readouterr().out
    assert "█" in said
    assert "\x1b" not in said
