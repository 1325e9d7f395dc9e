"""compose.yaml without an engine: valid, locked down, and true to the commands, settings and files that it names."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]

from deploy.cli import COMMANDS
from deploy.settings import NO_SETTINGS, PREFIX, load_settings
from tests.unit.deploy_files.files import COMPOSE, ROOT, image_environment, read_compose

SERVICES: dict[str, Any] = read_compose()["services"]
ROLES = [name for name, service in SERVICES.items() if service["image"].startswith("finsentry")]
THIRD_PARTY = [name for name in SERVICES if name not in ROLES]
TOKEN = "a token of twenty-four"


def bind_mounts(service: dict[str, Any]) -> list[tuple[Path, str, str]]:
    """Host path, path in the container, mode."""
    found = []
    for volume in service.get("volumes", ()):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            found.append(((COMPOSE.parent / source).resolve(), target, mode[0] if mode else "rw"))
    return found


def test_it_keeps_to_the_compose_specification() -> None:
    jsonschema.Draft7Validator(get_builtin_schema("vendor.compose-spec")).validate(read_compose())


def test_every_role_is_there_and_everything_around_it() -> None:
    assert ROLES == ["worker", "crawl", "alerts", "console"]
    assert THIRD_PARTY == ["kafka", "prometheus", "alertmanager", "grafana"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_its_command(role: str) -> None:
    assert SERVICES[role]["command"] == [role]
    assert role in COMMANDS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_no_two_services_publish_one_port() -> None:
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("name", THIRD_PARTY)
def test_an_image_is_pinned_by_version_and_says_whether_it_is_healthy(name: str) -> None:
    assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_kafka_is_the_version_that_runs_embedded() -> None:
    pom = (ROOT / "deploy/local/pom.xml").read_text(encoding="utf-8")
    embedded = re.search(r"<artifactId>kafka[^<]*</artifactId>\s*<version>([\d.]+)</version>", pom)
    assert embedded is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{embedded[1]}"


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists_and_is_read_only(name: str) -> None:
    for source, _, mode in bind_mounts(SERVICES[name]):
        assert source.exists(), f"{name} mounts {source}"
        assert source.is_relative_to(ROOT)
        assert mode == "ro"


def test_named_volumes_are_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if not volume.startswith(".")
    }
    assert used == set(read_compose()["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_healthy_ones(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_files_that_are_not_committed(name: str) -> None:
    for variable in SERVICES[name].get("environment", {}):
        assert not re.search("password|token|secret", variable, re.IGNORECASE)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/docker/*.env" in ignored
    for file in SERVICES[name].get("env_file", ()):
        example = COMPOSE.parent / f"{file}.example"
        assert re.search(r"^[A-Z_]+=$", example.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("role", ROLES)
def test_the_settings_of_a_role_are_settings(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = image_environment() | SERVICES[role]["environment"]
    mounted = {target: source for source, target, _ in bind_mounts(SERVICES[role])}
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in NO_SETTINGS:
            monkeypatch.setenv(name, value)
    if role == "console":
        monkeypatch.setenv("FINSENTRY_CONSOLE__TOKEN", TOKEN)
    settings = load_settings(mounted[environment["FINSENTRY_SETTINGS"]])
    assert settings.kafka.servers() == ["kafka:9092"]
    assert settings.metrics.host == "0.0.0.0"
    if role == "console":
        assert SERVICES[role]["ports"] == [f"127.0.0.1:8080:{settings.console.port}"]
        assert settings.console.token.get_secret_value() == TOKEN


def test_the_examples_name_the_secrets_that_are_needed() -> None:
    console = (ROOT / "deploy/docker/console.env.example").read_text(encoding="utf-8")
    grafana = (ROOT / "deploy/docker/grafana.env.example").read_text(encoding="utf-8")
    assert "\nFINSENTRY_CONSOLE__TOKEN=" in console
    assert "\nGF_SECURITY_ADMIN_PASSWORD=" in grafana


def test_grafana_asks_the_prometheus_of_this_file() -> None:
    source = (ROOT / "dashboards/grafana/provisioning/datasources/prometheus.yaml").read_text(encoding="utf-8")
    assert "url: ${PROMETHEUS_URL}" in source
    assert SERVICES["grafana"]["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"


def test_a_linter_of_compose_files_finds_nothing_grave() -> None:
    # What it finds below `high` is that images are pinned by version and not by digest.
    done = subprocess.run(
        [sys.executable, "-m", "compose_lint", str(COMPOSE)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_address_is_downloaded_from() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    allowed = r"http://(127\.0\.0\.1|localhost|prometheus):\d+"
    assert not re.search(r"https?://", re.sub(allowed, "", text))
