"""The way to Kafka: connection settings, and topics created or checked at start.

The hot loops use aiokafka (Faust's own client), the publisher and the admin calls kafka-python; both are given
the same settings here.
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import kafka
import kafka.admin
import kafka.errors
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from stream.errors import BrokerError, InputError, TopicMismatchError
from stream.topics import Topic

CHECKED_CONFIG = ("cleanup.policy", "message.timestamp.type", "unclean.leader.election.enable")
"""What must be as asked for the promise to hold; retention and sizes are the operator's to change."""

LEAST_CONFIG = ("min.insync.replicas",)
"""What must be as asked or more."""

STALLED_SECONDS = 20.0
"""Far longer than a broker takes to answer a fetch, or to restart: whoever waits for records that stand there begins
anew with fresh clients, or says so to a person."""

VISIBLE_SECONDS = 30.0
"""A loaded broker was seen to take a second."""

_SERVER = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^\s\[\]:/@]+)):(?P<port>[0-9]{1,5})")


class BrokerSettings(BaseModel):
    """How to reach Kafka. Section `kafka`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: str = Field(
        "", description="host:port, several with commas; empty: `finsentry up` runs a Kafka of its own."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="SSL encrypts, SASL signs in; a broker beyond this machine wants both."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to sign in, as the broker is set up."
    )
    sasl_username: str = Field("", description="The name to sign in with.")
    sasl_password: SecretStr = Field(SecretStr(""), description="Its password; only ever shown as asterisks.")
    ca_file: str = Field("", description="PEM file of the authority that signed the brokers' certificates.")
    certificate_file: str = Field("", description="PEM file of the client's certificate, for mutual TLS.")
    key_file: str = Field("", description="PEM file of the client's key, for mutual TLS.")
    request_timeout_seconds: float = Field(
        30.0,
        gt=0,
        lt=540,  # a client refuses one that outlasts its idle connections
        description="How long one request to the broker may take.",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _one_form(cls, value: str) -> str:
        """Without blanks. Raises `ValueError` for what is no `host:port`: a client says so late, and names no key."""
        servers = [server.strip() for server in value.split(",") if server.strip()]
        for server in servers:
            if not _is_server(server):
                raise ValueError(f"{server!r} is not host:port, such as broker-1:9092 or [2001:db8::1]:9092")
        return ",".join(servers)

    def servers(self) -> list[str]:
        """The bootstrap servers, at least one. Raises `BrokerError` where none is configured."""
        servers = [server for server in self.bootstrap_servers.split(",") if server]
        if not servers:
            raise BrokerError(
                "no broker is configured",
                fix="set kafka.bootstrap_servers in finsentry.toml or FINSENTRY_KAFKA__BOOTSTRAP_SERVERS,"
                " or run `finsentry up`, which brings its own",
            )
        return servers

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka and kafka-python client takes.

        Raises `InputError` that names the key and the file where a certificate or key cannot be read.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.servers(),
            "security_protocol": self.security_protocol,
            "request_timeout_ms": int(self.request_timeout_seconds * 1000),
        }
        if "SSL" in self.security_protocol:
            options["ssl_context"] = self._ssl_context()
        if "SASL" in self.security_protocol:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        with _loading(ca_file=self.ca_file):
            context = ssl.create_default_context(cafile=self.ca_file or None)
        with _loading(certificate_file=self.certificate_file, key_file=self.key_file):
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file or None)
        return context


def _is_server(server: str) -> bool:
    found = _SERVER.fullmatch(server)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        return False
    try:
        if found["ipv6"]:
            ipaddress.IPv6Address(found["ipv6"])
        else:
            found["host"].encode("idna")  # as the resolver will
    except ValueError:
        return False
    return True


@contextmanager
def _loading(**files: str) -> Iterator[None]:
    """Raises `InputError` where one of the files, by their keys, is not what it should be: `ssl` names neither."""
    given = {f"kafka.{key}": file for key, file in files.items() if file}
    for key, file in given.items():
        try:
            Path(file).open("rb").close()
        except OSError as error:
            raise InputError(f"{key}: {file}: {error.strerror}", fix="check the path and its permissions") from error
    try:
        yield
    except ssl.SSLError as error:
        named = " with ".join(f"{key} ({file})" for key, file in given.items())
        raise InputError(
            f"{named} cannot be used for TLS: {error}",
            fix="give PEM files, and the key that belongs to the certificate",
        ) from error


@contextmanager
def admin_client(settings: BrokerSettings, *, timeout_seconds: float = 10.0) -> Iterator[Any]:
    """A kafka-python admin client, closed at the end. Raises `BrokerError` where no broker answers in time."""
    options = settings.client_options()
    _await_connection(settings, timeout_seconds)
    try:
        client = _AdminClient(**options, client_id="finsentry-admin", bootstrap_timeout_ms=int(timeout_seconds * 1000))
    except (kafka.errors.KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
    try:
        yield client
    except kafka.errors.KafkaError as error:
        raise BrokerError(f"Kafka at {settings.bootstrap_servers} refused: {error}") from error
    finally:
        client.close()


class _AdminClient(kafka.admin.KafkaAdminClient):  # type: ignore[misc]
    """Leaves no thread behind where it cannot be made; kafka-python 3.0.12 itself does."""

    _closed = False

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except BaseException:
            self.close()
            raise


def _await_connection(settings: BrokerSettings, timeout_seconds: float) -> None:
    """Returns when a server accepts a connection. Clients forget to close the sockets that they try this with."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        for server in settings.servers():
            host, _, port = server.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout_seconds).close()
                return
            except OSError as error:
                cause = error
        if time.monotonic() > deadline:
            raise unreachable(settings, cause) from cause
        time.sleep(0.1)


def unreachable(settings: BrokerSettings, cause: BaseException) -> BrokerError:
    """The error for a broker that does not answer, saying where it was looked for."""
    return BrokerError(
        f"no Kafka broker answers at {settings.bootstrap_servers} ({type(cause).__name__}: {cause})",
        fix="check that it runs and that kafka.bootstrap_servers is right; `finsentry doctor` looks at both",
    )


def silent(settings: BrokerSettings, *, fix: str = "fresh clients are tried; see the broker's log") -> BrokerError:
    """The error for a broker that has given nothing for `STALLED_SECONDS` while there is something to give."""
    return BrokerError(f"Kafka at {settings.bootstrap_servers} has given nothing for {STALLED_SECONDS:.0f} s", fix=fix)


def ensure_topics(settings: BrokerSettings, topics: tuple[Topic, ...]) -> list[str]:
    """Creates the topics that are missing and checks those that stand; returns the names of the created ones.

    Safe to run from several processes at once. Raises `TopicMismatchError` where a topic has other partitions or
    another cleanup policy than asked, and `BrokerError` where Kafka cannot be reached.
    """
    with admin_client(settings) as client:
        standing = set(client.list_topics())
        created = []
        for topic in topics:
            if topic.name in standing:
                continue
            wanted = kafka.admin.NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication_factor,
                topic_configs=topic.config,
            )
            try:
                client.create_topics([wanted])
                created.append(topic.name)
            except kafka.errors.TopicAlreadyExistsError:
                standing.add(topic.name)  # another process was quicker; it is checked below
        _await_visible(client, topics)
        to_check = [topic for topic in topics if topic.name in standing]
        _check_partitions(client, to_check)
        _check_config(settings, client, to_check)
        return created


def _await_visible(client: Any, topics: tuple[Topic, ...]) -> None:
    """Returns when the broker shows every topic: it acknowledges a new one before its own metadata has it."""
    deadline = time.monotonic() + VISIBLE_SECONDS
    while True:
        described = client.describe_topics([topic.name for topic in topics])
        hidden = [entry["name"] for entry in described if not entry["partitions"]]
        if not hidden:
            return
        if time.monotonic() > deadline:
            raise BrokerError(
                f"topic {hidden[0]} was created, but the broker does not show it after {VISIBLE_SECONDS:.0f} s",
                fix="is the broker overloaded? See its log, and try again",
            )
        time.sleep(0.05)


def missing_topics(settings: BrokerSettings, topics: tuple[Topic, ...]) -> list[str]:
    """The names of the topics that do not stand yet; creates nothing. Raises as `ensure_topics` does."""
    with admin_client(settings) as client:
        standing = set(client.list_topics())
        to_check = [topic for topic in topics if topic.name in standing]
        _check_partitions(client, to_check)
        _check_config(settings, client, to_check)
        return [topic.name for topic in topics if topic.name not in standing]


def _check_partitions(client: Any, topics: list[Topic]) -> None:
    if not topics:
        return
    found = {entry["name"]: len(entry["partitions"]) for entry in client.describe_topics([t.name for t in topics])}
    for topic in topics:
        if found.get(topic.name, 0) not in (0, topic.partitions):
            raise TopicMismatchError(
                f"topic {topic.name} has {found[topic.name]} partitions, topics.partitions asks for {topic.partitions}",
                fix=f"set topics.partitions = {found[topic.name]}, or use a new topics.prefix: the partition of a"
                " document must never change",
            )


def _check_config(settings: BrokerSettings, client: Any, topics: list[Topic]) -> None:
    resources = [kafka.admin.ConfigResource("TOPIC", topic.name) for topic in topics]
    if not resources:
        return
    found = client.describe_configs(resources, config_filter="all")["topic"]
    for topic in topics:
        for key in CHECKED_CONFIG + LEAST_CONFIG:
            if key not in topic.config:
                continue
            if key not in found[topic.name]:
                raise BrokerError(
                    f"topic {topic.name}: the broker does not tell this user its {key}",
                    fix=f"allow the user DescribeConfigs on the topic {topic.name}",
                )
            value, asked = found[topic.name][key]["value"], topic.config[key]
            suits = int(value) >= int(asked) if key in LEAST_CONFIG else set(value.split(",")) == set(asked.split(","))
            if not suits:
                copies = " (first give it as many copies: kafka-reassign-partitions.sh)" if key in LEAST_CONFIG else ""
                raise TopicMismatchError(
                    f"topic {topic.name} has {key}={value}, this version needs {topic.config[key]}",
                    fix=f"kafka-configs.sh --bootstrap-server {settings.bootstrap_servers} --alter --entity-type topics"
                    f" --entity-name {topic.name} --add-config '{key}=[{topic.config[key]}]'{copies};"
                    " or use a new topics.prefix, and begin anew",
                )
