"""What a program reads is one line in UTF-8, and nobody sees a bar where nobody looks."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from deploy.commands.output import print_json, progress_bar


@dataclass(frozen=True, slots=True)
class Done:
    file: str
    share: float
    at: datetime


DONE = Done("Börse 银行.csv", np.float64(0.5), datetime(2026, 3, 2, 9, tzinfo=UTC))


def test_a_program_gets_a_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json([DONE, np.int64(3), None, float("nan")])
    line = '[{"file":"Börse 银行.csv","share":0.5,"at":"2026-03-02T09:00:00Z"},3,null,null]\n'
    assert capfdbinary.readouterr().out == line.encode()


def test_a_person_gets_it_indented(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_json({"documents": 3})
    assert capsys.readouterr().out == '{\n  "documents": 3\n}\n'


def test_what_is_no_json_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError):
        print_json(object())


@pytest.mark.parametrize(("on_terminal", "length", "shown"), [(True, 3, True), (True, 0, False), (False, 3, False)])
def test_a_bar_is_drawn_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    on_terminal: bool,
    length: int,
    shown: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_terminal)
    with progress_bar(length=length, label="measuring") as bar:
        bar.update(length)
    said = capsys.readouterr()
    assert ("measuring" in said.err) == shown
    assert said.out == ""


def test_a_bar_goes_along_with_what_it_is_given() -> None:
    with progress_bar(iter("abc"), label="classifying") as bar:
        assert list(bar) == ["a", "b", "c"]
