"""The command line: help without waiting, errors for people, exit codes for programs."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from deploy import cli
from deploy.errors import FinSentryError, InputError

HEAVY = ("numpy", "kafka", "aiokafka", "onnxruntime", "pydantic", "pandas", "faust", "torch")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes every command fail like this."""

    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli.LazyCommands, "get_command", lambda *_: command)


def test_help_imports_nothing_heavy(checkout: Path) -> None:
    script = f"""
import sys
from deploy.cli import run
assert run(["--help"]) == 0
print("HEAVY", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=checkout, timeout=60
    )

    assert done.stdout.endswith("HEAVY []\n")
    assert all(name in done.stdout for name in cli.COMMANDS)


def test_an_error_is_said_with_what_to_do_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, FinSentryError("the broker is gone", fix="start it"))

    assert cli.run(["worker"]) == 1

    assert capsys.readouterr().err == "finsentry: the broker is gone\n  start it\n"


def test_wrong_input_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, InputError("row 3 has no text"))

    assert cli.run(["replay"]) == 2

    assert capsys.readouterr().err == "finsentry: row 3 has no text\n"


def test_an_error_of_the_system_names_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, PermissionError(13, "Permission denied", "/data"))

    assert cli.run(["up"]) == 1

    assert "/data: Permission denied" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        cli.run(["up"])


def test_ctrl_c_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, KeyboardInterrupt())

    assert cli.run(["up"]) == 130

    assert capsys.readouterr().err.strip() == ""


def test_an_unknown_command_is_an_error_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["watch"]) == 2

    assert "No such command 'watch'" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error(checkout: Path) -> None:
    script = "from deploy.cli import run; import click, deploy.cli as c, sys\n" + (
        "command = click.command()(lambda: [click.echo('x' * 1000) for _ in range(1000)] and None)\n"
        "c.LazyCommands.get_command = lambda *_: command\n"
        "sys.exit(run(['dump']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=checkout
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 1  # as click has it
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs Linux's disk that is always full")
def test_a_full_disk_behind_the_output_is_said_in_a_line(checkout: Path) -> None:
    script = "from deploy.cli import run; import click, deploy.cli as c, sys\n" + (
        "command = click.command()(lambda: click.echo('x' * 1000))\n"
        "c.LazyCommands.get_command = lambda *_: command\n"
        "sys.exit(run(['dump']))"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, cwd=checkout, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "finsentry: the output could not be written: No space left on device",
        "  free some space on its disk",
    ]
