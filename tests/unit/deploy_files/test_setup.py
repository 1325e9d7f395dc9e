"""`deploy/setup.sh`: what failed must not pass for done, nor what was replaced for installed; nobody's servers end."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = ("sh", "cat", "cut", "dirname", "grep", "rm", "sha256sum", "touch")

NO_NETWORK = """#!/bin/sh
case "$*" in *pip*) echo "the network is down" >&2; exit 1 ;; esac
"""
NOTES = """#!/bin/sh
echo "${0##*/} $*" >>"$NOTES"
"""


class Machine:
    """A checkout of its own, on a machine with nothing but what the script itself needs and stubs that note calls."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._notes = folder / "notes"
        (folder / "deploy").mkdir()
        for name in ("pyproject.toml", "deploy/setup.sh", "deploy/constraints.txt", "deploy/constraints-dev.txt"):
            shutil.copy(checkout / name, folder / name)
        self._bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, f"{tool} is missing"
            (self._bin / tool).symlink_to(found)
        self.stub("python", where=folder / ".venv" / "bin")

    def stub(self, *names: str, text: str = NOTES, where: Path | None = None) -> None:
        """Programs of these names."""
        for name in names:
            program = (where or self._bin) / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(text)
            program.chmod(0o755)

    def setup(self, kind: str) -> subprocess.CompletedProcess[str]:
        self._notes.write_text("")
        return subprocess.run(
            [self.folder / "deploy" / "setup.sh", kind],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PATH": str(self._bin), "NOTES": str(self._notes)},
        )

    @property
    def notes(self) -> list[str]:
        """What the stubs were called with in the last setup."""
        return self._notes.read_text().splitlines()

    def installed(self, kind: str) -> list[str]:
        """The lists of packages that a setup installs, which must succeed."""
        done = self.setup(kind)
        assert done.returncode == 0, done.stderr
        return [line.split(" -r ")[1] for line in self.notes if " -r " in line]


@pytest.fixture
def machine(checkout: Path, tmp_path: Path) -> Machine:
    made = Machine(checkout, tmp_path)
    made.stub("prometheus", "promtool", "prometheus-alertmanager", "chromium")
    made.stub("id", text="#!/bin/sh\necho 1000\n")
    return made


@pytest.mark.parametrize("kind", ["runtime", "tests"])
def test_a_failed_installation_ends_the_setup_and_is_tried_again(kind: str, machine: Machine) -> None:
    machine.stub("python", text=NO_NETWORK, where=machine.folder / ".venv" / "bin")

    done = machine.setup(kind)

    assert done.returncode != 0
    assert "the network is down" in done.stderr
    assert list((machine.folder / ".venv").glob("finsentry-*")) == []


def test_what_is_installed_is_not_installed_again(machine: Machine) -> None:
    assert machine.installed("runtime") == ["deploy/constraints.txt"]
    assert machine.installed("runtime") == []
    assert machine.installed("tests") == ["deploy/constraints-dev.txt"]  # includes what a run needs
    for kind in ("runtime", "tests", "runtime"):
        assert machine.installed(kind) == []


def test_what_another_commit_has_replaced_is_installed_again(machine: Machine) -> None:
    project = machine.folder / "pyproject.toml"
    before = project.read_text()
    assert machine.installed("tests") == ["deploy/constraints-dev.txt"]
    project.write_text(f"{before}# another commit")
    assert machine.installed("runtime") == ["deploy/constraints.txt"]
    project.write_text(before)
    assert machine.installed("tests") == ["deploy/constraints-dev.txt"]


@pytest.mark.parametrize(
    ("missing", "ended"),
    [
        (["prometheus"], ["prometheus"]),
        (["prometheus-alertmanager"], ["prometheus-alertmanager"]),
        (["prometheus", "prometheus-alertmanager"], ["prometheus", "prometheus-alertmanager"]),
        (["chromium"], []),
    ],
    ids=lambda names: "+".join(names) or "none",
)
def test_only_a_server_that_was_just_installed_is_ended(
    missing: list[str], ended: list[str], machine: Machine, tmp_path: Path
) -> None:
    for name in missing:
        (tmp_path / "bin" / name).unlink()
    machine.stub("apt-get", "systemctl")
    machine.stub("id", text="#!/bin/sh\necho 0\n")
    script = machine.folder / "deploy" / "setup.sh"
    text = script.read_text()
    assert "/run/systemd/system" in text
    script.write_text(text.replace("/run/systemd/system", str(tmp_path)))

    done = machine.setup("tests")

    assert done.returncode == 0, done.stderr
    assert any(note.startswith("apt-get install") and note.endswith(" ".join(missing)) for note in machine.notes)
    calls = [note.split() for note in machine.notes if note.startswith("systemctl")]
    assert [call[-1] for call in calls] == ended
    assert all(call[1] == "disable" for call in calls)
