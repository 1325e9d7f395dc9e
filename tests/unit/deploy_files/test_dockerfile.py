"""The Dockerfile without an engine: what it copies is there, what it installs is pinned, what it runs is not root."""

import fnmatch
import re

from deploy.settings import PREFIX, known_keys, variable
from tests.unit.deploy_files.files import METRICS_PORT, ROOT, image_environment, instructions

STEPS = instructions()


def copied() -> list[str]:
    """Everything that is copied out of the checkout."""
    found = []
    for name, rest in STEPS:
        if name == "COPY" and not rest.startswith("--from"):
            found += rest.split()[:-1]
    return found


def test_every_step_is_an_instruction_that_we_meant() -> None:
    known = {
        *("ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE"),
        *("HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"),
    }
    assert {name for name, _ in STEPS} <= known


def test_both_stages_start_from_one_pinned_python() -> None:
    python = next(rest for name, rest in STEPS if name == "ARG")
    assert re.fullmatch(r"PYTHON=3\.1[1-3]\.\d+-slim-[a-z]+", python)
    assert [rest for name, rest in STEPS if name == "FROM"] == ["python:${PYTHON} AS build", "python:${PYTHON}"]


def test_what_is_copied_exists() -> None:
    for path in copied():
        # README.md is written last; the package's metadata needs it.
        assert (ROOT / path).exists() or path == "README.md", path


def test_every_package_is_copied() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied())


def test_what_is_copied_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert {path.split("/")[0] for path in copied()} == let_in
    assert any(fnmatch.fnmatch("deploy/docker/console.env", rule) for rule in rules[1:])


def test_packages_are_installed_before_the_code_is_copied() -> None:
    steps = [f"{name} {rest}" for name, rest in STEPS]
    install = next(index for index, step in enumerate(steps) if "--require-hashes" in step)
    code = next(index for index, step in enumerate(steps) if step == "COPY model model")
    assert install < code


def test_every_package_is_pinned_and_hashed_and_none_is_torch() -> None:
    lines = (ROOT / "deploy/constraints.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    names = [pin.split("==")[0].lower() for pin in pins]
    assert all(re.match(r"[\w.-]+==[\w.]+ ", pin) and "--hash=sha256:" in pin for pin in pins)
    assert {"onnxruntime", "aiokafka", "setuptools"} <= set(names)
    assert not {"torch", "transformers", "onnxruntime-gpu"} & set(names)


def test_it_is_fetched_from_nowhere_by_name() -> None:
    text = " ".join(rest for _, rest in STEPS)
    assert not re.search(r"https?://(?!127\.0\.0\.1)", text)
    assert not re.search(r"\b(curl|wget|apt-get|git)\b", text)


def test_it_does_not_run_as_root() -> None:
    users = [rest for name, rest in STEPS if name == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])


def test_its_variables_are_settings() -> None:
    keys = {variable(key) for key in known_keys()}
    ours = {name for name in image_environment() if name.startswith(PREFIX)}
    assert ours <= keys
    roles = {name for name in keys if name.startswith("FINSENTRY_METRICS__")} - {"FINSENTRY_METRICS__HOST"}
    assert {name: image_environment()[name] for name in roles} == dict.fromkeys(roles, METRICS_PORT)


def test_it_is_healthy_when_the_role_is_ready() -> None:
    check = next(rest for name, rest in STEPS if name == "HEALTHCHECK")
    assert f"http://127.0.0.1:{METRICS_PORT}/ready" in check
    assert "ProxyHandler({})" in check, "a proxy that the machine is given does not reach the container's own loopback"
    assert METRICS_PORT in next(rest for name, rest in STEPS if name == "EXPOSE").split()


def test_it_runs_the_command() -> None:
    assert ("ENTRYPOINT", '["finsentry"]') in STEPS
