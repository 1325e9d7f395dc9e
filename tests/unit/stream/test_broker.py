"""What is wrong with the way to the broker is said by its key; brokers themselves are met in `tests/integration`."""

import re
import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from stream.broker import BrokerSettings, _check_config
from stream.errors import BrokerError, InputError, TopicMismatchError
from stream.topics import Topics, TopicSettings


def options(**values: str) -> dict[str, object]:
    settings = {"bootstrap_servers": "broker-1:9093", "security_protocol": "SSL"} | values
    return BrokerSettings.model_validate(settings).client_options()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "no.pem"
    path.write_text("-----BEGIN NOTHING-----\n")
    return str(path)


@pytest.mark.parametrize(
    ("given", "servers"),
    [
        ("localhost:9092", ["localhost:9092"]),
        ("broker_1.example:1,  10.0.0.7:65535 ,", ["broker_1.example:1", "10.0.0.7:65535"]),
        ("[::1]:9092,[fe80::1%eth0]:9093", ["[::1]:9092", "[fe80::1%eth0]:9093"]),
        ("börse.example:9092", ["börse.example:9092"]),
    ],
)
def test_servers_are_hosts_with_ports(given: str, servers: list[str]) -> None:
    assert BrokerSettings(bootstrap_servers=given).servers() == servers


@pytest.mark.parametrize("given", ["", " ", ","])
def test_no_server_at_all_means_a_kafka_of_our_own(given: str) -> None:
    assert BrokerSettings(bootstrap_servers=given).bootstrap_servers == ""


@pytest.mark.parametrize(
    "server",
    [
        "localhost:abc",
        "localhost",
        ":9092",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:９０９２",
        "localhost:-1",
        "a b:9092",
        "a..b:9092",
        f"{'a' * 64}:9092",
        "SSL://localhost:9092",
        "user@localhost:9092",
        "::1:9092",
        "[::1]",
        "[::x]:9092",
        "[localhost]:9092",
        "[::1:9092",
    ],
)
def test_what_is_no_server_is_named(server: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"{server!r} is not host:port")):
        BrokerSettings(bootstrap_servers=f"broker-1:9092, {server}")


def test_tls_needs_no_file() -> None:
    assert isinstance(options()["ssl_context"], ssl.SSLContext)


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "key_file"])
def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path: Path, file: str, key: str) -> None:
    others = {"certificate_file": file} if key == "key_file" else {}
    with pytest.raises(InputError, match=rf"^kafka\.{key}: .*nowhere\.pem: No such file or directory"):
        options(**others, **{key: str(tmp_path / "nowhere.pem")})


@pytest.mark.parametrize("keys", [("ca_file",), ("certificate_file",), ("certificate_file", "key_file")])
def test_a_file_that_is_no_pem_is_named_with_its_key(file: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        options(**dict.fromkeys(keys, file))
    assert all(f"kafka.{key} ({file})" in caught.value.message for key in keys)
    assert "PEM" in caught.value.fix


def test_settings_that_this_user_may_not_see_are_asked_for() -> None:
    topic = Topics(TopicSettings(replication_factor=3)).documents
    client = SimpleNamespace(describe_configs=lambda *_, **__: {"topic": {topic.name: {}}})
    with pytest.raises(BrokerError, match=r"does not tell this user its .*\n.*DescribeConfigs"):
        _check_config(BrokerSettings(bootstrap_servers="broker:9092"), client, [topic])


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({}, ""),
        ({"min.insync.replicas": "3"}, ""),
        ({"min.insync.replicas": "1"}, "min.insync.replicas=1, this version needs 2"),
        ({"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable=true, this version needs false"),
        ({"retention.ms": "5"}, ""),
    ],
)
def test_what_the_promise_stands_on_must_be_as_asked(changed: dict[str, str], refused: str) -> None:
    topic = Topics(TopicSettings(replication_factor=3)).documents
    assert topic.config["min.insync.replicas"] == "2"
    assert Topics(TopicSettings(replication_factor=2)).documents.config["min.insync.replicas"] == "2"
    values = {key: {"value": value} for key, value in (topic.config | changed).items()}
    client = SimpleNamespace(describe_configs=lambda *_, **__: {"topic": {topic.name: values}})
    if not refused:
        _check_config(BrokerSettings(bootstrap_servers="broker:9092"), client, [topic])
        return
    with pytest.raises(TopicMismatchError, match=refused) as found:
        _check_config(BrokerSettings(bootstrap_servers="broker:9092"), client, [topic])
    assert f"--bootstrap-server broker:9092 --alter --entity-type topics --entity-name {topic.name}" in str(
        found.value.fix
    )
