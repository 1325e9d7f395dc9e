"""Settings come from a file and from variables, and what is wrong with them is said by name."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from deploy.errors import SettingsError
from deploy.settings import Settings, known_keys, load_settings, to_environment, variable
from ingest.settings import FeedSource, IngestSettings
from stream.broker import BrokerSettings
from stream.topics import TopicSettings

SECRET = "a-token-that-nobody-may-read"


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(text: str | None = None) -> SettingsError:
    """What is said of a settings file with this text, or of the variables."""
    file = None
    if text is not None:
        file = Path("mine.toml")
        file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert caught.value.exit_code == 2
    assert SECRET not in str(caught.value)
    return caught.value


def test_without_a_file_or_variables_every_key_has_its_default() -> None:
    assert load_settings() == Settings()


def test_the_file_of_the_working_directory_is_found() -> None:
    Path("finsentry.toml").write_text("[topics]\npartitions = 7\n")

    assert load_settings().topics.partitions == 7


def test_a_file_can_be_named_by_variable_and_by_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("finsentry.toml").write_text("[topics]\npartitions = 7\n")
    Path("other.toml").write_text("[topics]\npartitions = 8\n")
    Path("third.toml").write_text("[topics]\npartitions = 9\n")
    monkeypatch.setenv("FINSENTRY_SETTINGS", "other.toml")

    assert load_settings().topics.partitions == 8
    assert load_settings(Path("third.toml")).topics.partitions == 9


def test_a_variable_overrides_the_file_and_leaves_the_rest_of_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("finsentry.toml").write_text('[topics]\npartitions = 7\nprefix = "mine."\n')
    monkeypatch.setenv("FINSENTRY_TOPICS__PARTITIONS", "3")

    assert load_settings().topics == TopicSettings(partitions=3, prefix="mine.")


def test_an_empty_variable_for_the_bundle_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_MODEL__BUNDLE", "")
    assert load_settings() == Settings()


def test_lists_and_tables_are_given_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_CONSOLE__WINDOWS", '["1h", "24h"]')
    monkeypatch.setenv("FINSENTRY_KAFKA", '{"bootstrap_servers": "kafka:9092"}')

    assert load_settings().console.windows == ("1h", "24h")
    assert load_settings().kafka.bootstrap_servers == "kafka:9092"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: No such file"):
        load_settings(Path("nowhere.toml"))


def test_a_file_that_is_no_toml_names_the_line() -> None:
    assert "mine.toml is not TOML" in refused("[kafka\n").message
    assert "line 1" in refused("[kafka\n").message


def test_a_file_that_is_no_text_names_the_byte() -> None:
    Path("binary.toml").write_bytes(b"data\xff")

    with pytest.raises(SettingsError, match=r"binary\.toml is not UTF-8 text \(byte 4\)"):
        load_settings(Path("binary.toml"))


def test_an_unknown_key_names_the_file_and_the_nearest_right_one() -> None:
    error = refused('[kafka]\nbootstrap_server = "kafka:9092"\n')

    assert error.message == "mine.toml: kafka.bootstrap_server is no setting"
    assert error.fix == "did you mean kafka.bootstrap_servers?"


def test_an_unknown_section_lists_those_that_there_are() -> None:
    error = refused("[zzz]\nkey = 1\n")

    assert error.message == "mine.toml: zzz is no setting"
    assert "kafka, topics, ingest" in error.fix


def test_an_unknown_key_of_a_source_is_named_before_the_one_that_is_missing_for_it() -> None:
    error = refused('[[ingest.sources]]\ntype = "feed"\nname = "a"\nurrl = "http://example.org"\n')

    assert error.message == "mine.toml: ingest.sources.0.urrl is no setting"


def test_an_unknown_variable_is_named_with_the_nearest_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_KAFKA__BOOTSTRAP_SERVER", "kafka:9092")

    error = refused()

    assert "FINSENTRY_KAFKA__BOOTSTRAP_SERVER is no setting" in error.message
    assert "FINSENTRY_KAFKA__BOOTSTRAP_SERVERS" in error.fix


def test_a_wrong_value_names_key_value_and_what_is_allowed() -> None:
    error = refused('[kafka]\nsecurity_protocol = "TLS"\n')

    assert error.message.startswith("mine.toml: kafka.security_protocol = 'TLS': Input should be 'PLAINTEXT', 'SSL'")


def test_what_is_no_address_of_a_broker_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_KAFKA__BOOTSTRAP_SERVERS", "localhost:abc")

    error = refused()

    assert error.message.startswith(
        "FINSENTRY_KAFKA__BOOTSTRAP_SERVERS = 'localhost:abc': 'localhost:abc' is not host:port"
    )
    assert error.fix.startswith("kafka.bootstrap_servers: host:port, several with commas")


def test_a_wrong_value_of_a_variable_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_TOPICS__PARTITIONS", "0")

    error = refused()

    assert error.message.startswith("FINSENTRY_TOPICS__PARTITIONS = '0': Input should be greater than or equal to 1")


def test_a_variable_that_should_be_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_CONSOLE__WINDOWS", "1h,24h")

    assert "FINSENTRY_CONSOLE__WINDOWS is not JSON" in refused().message


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (f'[kafka]\nsasl_password = ["{SECRET}"]\n', {}),
        (f'kafka = "{SECRET}"\n', {}),
        (f'[console]\ntoken = "{SECRET}"\nwindow = "2h"\n', {}),
        ("", {"FINSENTRY_KAFKA": SECRET}),
        ("", {"FINSENTRY_CONSOLE": f'"{SECRET}"'}),
        ("", {"FINSENTRY_CONSOLE__TOKEN": SECRET, "FINSENTRY_CONSOLE__PORT": "x"}),
    ],
)
def test_no_error_shows_a_secret(text: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    refused(text)


def test_a_section_travels_to_another_process_through_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FeedSource(name="wire", url="http://127.0.0.1:4000/wire.xml", every_seconds=3)
    settings = IngestSettings(sources=(source,), private_exceptions=("127.0.0.1:4000",), host_delay_seconds=0)

    for name, value in to_environment("ingest", settings).items():
        monkeypatch.setenv(name, value)

    assert load_settings().ingest == settings


def test_what_another_process_reads_itself_is_put_back_to_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("finsentry.toml").write_text(
        '[kafka]\nsecurity_protocol = "SASL_SSL"\nsasl_username = "jane"\nsasl_password = "word"\nca_file = "ca"\n'
    )
    embedded = BrokerSettings(bootstrap_servers="127.0.0.1:9092")

    for name, value in to_environment("kafka", embedded, known=load_settings().kafka).items():
        monkeypatch.setenv(name, value)

    assert load_settings().kafka == embedded


@pytest.mark.parametrize("value", ["inf", "nan", "1e300"])
@pytest.mark.parametrize(
    "key", ["topics.documents_days", "topics.windows_days", "kafka.request_timeout_seconds", "ingest.max_future_hours"]
)
def test_a_number_that_nothing_can_count_to_is_refused_by_name(key: str, value: str) -> None:
    assert key in str(refused(f"{key} = {value}\n"))


def test_every_key_is_described_and_can_be_a_variable() -> None:
    keys = known_keys()

    leaves = {
        key: field
        for key, field in keys.items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
    }
    assert [key for key, field in leaves.items() if not field.description] == []
    assert len({variable(key) for key in keys}) == len(keys)


def test_a_bundle_for_a_language_comes_from_the_file_and_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("finsentry.toml").write_text('[model.languages]\nzh = "bundles/zh"\nde = "bundles/de"\n')
    monkeypatch.setenv("FINSENTRY_MODEL__LANGUAGES__ZH", "elsewhere/zh")

    model = load_settings().model

    assert model.languages == {"zh": Path("elsewhere/zh"), "de": Path("bundles/de")}
    assert json.loads(to_environment("model", model)["FINSENTRY_MODEL__LANGUAGES"]) == {
        "zh": "elsewhere/zh",
        "de": "bundles/de",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[model.languages]\nchinese = "b"\n', "'chinese' is no ISO 639-1 code"),
        ('[model.languages]\nen = "b"\n', "en is the language of `bundle`"),
        ('[model]\nlanguage = "English"\n', "model.language"),
    ],
)
def test_a_language_that_cannot_be_one_is_refused(text: str, said: str) -> None:
    assert said in str(refused(text))


def test_a_section_and_a_key_of_it_cannot_both_be_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINSENTRY_KAFKA", '"b:9092"')
    monkeypatch.setenv("FINSENTRY_KAFKA__BOOTSTRAP_SERVERS", "b:9092")
    with pytest.raises(SettingsError):
        load_settings()
