"""`deploy/setup.sh`: an installation that failed must not pass for one that was done."""

import shutil
import subprocess
from pathlib import Path

import pytest

STUB = """#!/bin/sh
case "$*" in *pip*) echo "the network is down" >&2; exit 1 ;; esac
"""


@pytest.mark.parametrize("kind", ["runtime", "tests"])
def test_a_failed_installation_ends_the_setup_and_is_tried_again(kind: str, checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for name in ("pyproject.toml", "deploy/setup.sh", "deploy/constraints.txt", "deploy/constraints-dev.txt"):
        shutil.copy(checkout / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STUB)
    python.chmod(0o755)

    done = subprocess.run([tmp_path / "deploy" / "setup.sh", kind], capture_output=True, text=True, timeout=60)

    assert done.returncode != 0
    assert "the network is down" in done.stderr
    assert list((tmp_path / ".venv").glob("finsentry-*")) == []
