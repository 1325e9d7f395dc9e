"""The list of settings is complete, and the file that it makes is one that can be used."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from deploy import cli
from deploy.settings import Settings, known_keys, load_settings
from deploy.settings_reference import Key, as_toml, keys, sections


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def key(name: str) -> Key:
    (found,) = (one for one in keys() if one.key == name)
    return found


def test_every_key_is_there_once() -> None:
    listed = [one.key for one in keys()]
    leaves = {
        name
        for name, field in known_keys().items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
    }

    assert len(listed) == len(set(listed))
    assert {name for name in listed if "[" not in name} == leaves
    assert {"alerts.windows[*].minutes", "ingest.sources[feed].url", "ingest.sources[json_api].fields.id"} <= {*listed}


def test_none_lacks_a_description_or_what_could_stand_there() -> None:
    assert [one.key for one in keys() if not one.description] == []
    assert [one.path for one in sections() if one.path and not one.description] == []
    assert [one.key for one in keys() if one.default is None and one.example is None and "[*]" not in one.key] == []


def test_a_key_says_its_type_bounds_default_and_variable() -> None:
    port = key("console.port")
    assert (port.type, port.default, port.variable) == ("whole number from 0 to 65535", 8080, "FINSENTRY_CONSOLE__PORT")
    assert key("kafka.sasl_mechanism").type == '"PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512"'
    assert key("stream.poison_ratio").type == "number above 0 to 1"
    assert key("kafka.sasl_password").type == "secret text"
    assert key("model.languages").type == "table of: path"
    assert (key("model.threads").type, key("model.threads").default) == ("whole number from 1 to 256", None)
    url = key("ingest.sources[feed].url")
    assert (url.required, url.variable) == (True, "")


def test_the_file_is_toml_and_changes_nothing() -> None:
    Path("reference.toml").write_text(as_toml(), encoding="utf-8")

    assert set(tomllib.loads(as_toml())) == set(Settings.model_fields)
    assert load_settings(Path("reference.toml")) == Settings()


def test_its_examples_can_be_put_in_force() -> None:
    in_force = re.sub(r"^#(?=\S)", "", as_toml(), flags=re.MULTILINE)
    in_force = in_force.replace('name = "business-desk"', 'name = "another-desk"', 1)  # two sources, two names
    Path("reference.toml").write_text(in_force, encoding="utf-8")

    found = load_settings(Path("reference.toml"))

    assert (found.model.threads, found.model.bundle) == (4, Path("data/bundles/ab"))
    assert [source.type for source in found.ingest.sources] == ["feed", "json_api"]


def test_every_variable_takes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in keys():
        if one.variable and one.default is not None:
            text = one.default if isinstance(one.default, str) else json.dumps(one.default)
            monkeypatch.setenv(one.variable, text)

    assert load_settings() == Settings()


def test_the_command_prints_both_whatever_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINSENTRY_CONSOLE__TOKEN", "a-token-that-nobody-may-read")

    assert cli.run(["settings"]) == 0
    assert capsys.readouterr().out == as_toml()

    assert cli.run(["settings", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["key"] for one in listed] == [one.key for one in keys()]
    assert set(listed[0]) == {"key", "type", "default", "required", "variable", "description", "example"}
