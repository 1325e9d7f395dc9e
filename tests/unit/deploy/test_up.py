"""`finsentry up` says what it cannot have before it starts anything."""

import socket
from pathlib import Path

import pytest

from deploy import cli


@pytest.fixture(autouse=True)
def monitoring_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prometheus", "alertmanager"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINSENTRY_CONSOLE__PORT", "0")


@pytest.mark.parametrize(
    ("role", "key"),
    [
        ("console", "console.port"),
        ("prometheus", "local.prometheus_port"),
        ("alertmanager", "local.alertmanager_port"),
    ],
)
def test_a_port_that_is_taken_is_said_with_its_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, role: str, key: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv(f"FINSENTRY_{key.upper().replace('.', '__')}", str(port))

        assert cli.run(["up", "--simulate"]) == 2

    message, fix = capsys.readouterr().err.splitlines()
    assert message == f"finsentry: port {port} of 127.0.0.1, for {role}, is taken"
    assert f"set {key}" in fix
    assert not (tmp_path / "data").exists()
