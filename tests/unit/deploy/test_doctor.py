"""The doctor finds what is broken and says what to do."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.check import Check
from deploy.commands.doctor import doctor
from deploy.doctor import examine
from deploy.local.jars import jars_folder
from deploy.local.processes import free_ports
from deploy.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a machine where nothing runs, with a bundle that is not there, so that no model is loaded."""
    (port,) = free_ports(1)
    return Settings.model_validate(
        {"data_folder": tmp_path, "model": {"bundle": tmp_path / "no-bundle"}, "console": {"port": port}}
    )


def checks(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in examine(settings)}


def test_whatever_is_broken_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    found = checks(settings)

    assert found["java"].state == "broken"
    assert found["bundle"].state == "broken"
    assert found["prometheus"].state == "note"
    assert all(check.fix for check in found.values() if check.state != "ok")


def test_no_broker_is_no_fault_where_none_is_configured(settings: Settings) -> None:
    assert checks(settings)["broker"].state == "note"


def test_a_configured_broker_that_does_not_answer_is_broken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.doctor.BROKER_SECONDS", 0.2)
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": nobody})

    found = checks(settings.model_copy(update={"kafka": kafka}))

    assert found["broker"].state == "broken"
    assert nobody in found["broker"].found
    assert "java" not in found  # nobody needs it then


def test_an_empty_folder_of_jars_is_no_kafka(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("deploy.doctor.default_cache", lambda: tmp_path)
    folder = jars_folder(tmp_path)
    folder.mkdir()
    assert checks(settings)["kafka jars"].state != "ok"
    (folder / "kafka-server.jar").touch()
    assert checks(settings)["kafka jars"].state == "ok"


def test_a_taken_port_names_its_key(settings: Settings) -> None:
    assert checks(settings)["console.port"].state == "ok"
    with socket.create_server(("127.0.0.1", settings.console.port)):
        assert "console.port" in checks(settings)["console.port"].fix


def test_too_little_disk_is_broken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.doctor.LEAST_DISK_BYTES", 1 << 62)

    assert checks(settings)["disk"].state == "broken"


def test_a_data_folder_that_is_none_is_broken(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = checks(settings.model_copy(update={"data_folder": tmp_path / "file"}))["disk"]
    assert (found.state, found.found) == ("broken", f"{tmp_path / 'file'} is no folder")
    assert "data_folder" in found.fix


def test_the_command_fails_where_something_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [Check("java", "ok", "17"), Check("disk", "broken", "0 GB", "free some")]
    monkeypatch.setattr("deploy.doctor.examine", lambda _settings: iter(given))

    text = CliRunner().invoke(doctor, [], standalone_mode=False)
    data = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)

    assert text.return_value == data.return_value == 1
    assert "BROKEN  disk" in text.output
    assert "free some" in text.output
    assert [check["state"] for check in json.loads(data.output)] == ["ok", "broken"]


def test_a_warning_is_told_with_its_fix_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.doctor.examine", lambda _settings: iter([Check("copies", "warning", "1 copy", "3")]))

    done = CliRunner().invoke(doctor, [], standalone_mode=False)

    assert done.return_value == 0
    assert done.output == f"WARNING copies            1 copy\n{'':<26}3\n"
