"""What is wrong with the way to the broker is said by its key; brokers themselves are met in `tests/integration`."""

import ssl
from pathlib import Path

import pytest

from stream.broker import BrokerSettings
from stream.errors import InputError


def options(**values: str) -> dict[str, object]:
    settings = {"bootstrap_servers": "broker-1:9093", "security_protocol": "SSL"} | values
    return BrokerSettings.model_validate(settings).client_options()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "no.pem"
    path.write_text("-----BEGIN NOTHING-----\n")
    return str(path)


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
