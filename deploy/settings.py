"""All settings of FinSentry in one place: `finsentry.toml`, overridden by `FINSENTRY_*` variables, checked at start."""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from alerts.settings import AlertSettings
from dashboards.console.settings import ConsoleSettings
from deploy.errors import SettingsError
from ingest.settings import IngestSettings
from model.settings import ModelSettings
from stream.broker import BrokerSettings
from stream.settings import StreamSettings
from stream.topics import TopicSettings

PREFIX = "FINSENTRY_"
DELIMITER = "__"
FILE_VARIABLE = "FINSENTRY_SETTINGS"
DEFAULT_FILE = Path("finsentry.toml")
NO_SETTINGS = {FILE_VARIABLE}
"""Variables that begin as a key's does and are none: where the settings file is cannot stand in it."""


class MetricsSettings(BaseModel):
    """Where each role serves `/metrics` and `/ready`. Section `metrics`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 in a container.")
    worker: int = Field(9101, ge=0, le=65535, description="Port of a worker; 0 takes a free one.")
    crawl: int = Field(9102, ge=0, le=65535, description="Port of the crawler.")
    alerts: int = Field(9103, ge=0, le=65535, description="Port of the alert service.")
    console: int = Field(9104, ge=0, le=65535, description="Port of the console's metrics, not of its page.")
    archive: int = Field(9105, ge=0, le=65535, description="Port of `finsentry archive --follow`.")


class LocalSettings(BaseModel):
    """The run on one machine, `finsentry up`. Section `local`. Its roles serve metrics on free ports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_port: int = Field(0, ge=0, le=65535, description="Port of the embedded Kafka; 0 takes a free one.")
    prometheus_port: int = Field(0, ge=0, le=65535, description="Port of Prometheus, where installed; 0: a free one.")
    alertmanager_port: int = Field(0, ge=0, le=65535, description="Port of Alertmanager; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes; each brings model.threads of its own.")
    scrape_seconds: float = Field(2.0, gt=0, description="How often Prometheus asks the roles and checks its rules.")
    give_up_after: int = Field(5, ge=1, description="A role that ends so often within give_up_seconds is given up.")
    give_up_seconds: float = Field(120.0, gt=0, description="The time in which give_up_after counts.")


class Settings(BaseModel):
    """Everything that can be set, one section a package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_folder: Path = Field(Path("data"), description="Where a run on one machine keeps its topics and logs.")
    kafka: BrokerSettings = Field(default_factory=BrokerSettings, description="How to reach Kafka.")
    topics: TopicSettings = Field(default_factory=TopicSettings, description="How topics are named, split and kept.")
    ingest: IngestSettings = Field(default_factory=IngestSettings, description="What is crawled, and how politely.")
    model: ModelSettings = Field(default_factory=ModelSettings, description="Which bundle classifies, and where.")
    stream: StreamSettings = Field(default_factory=StreamSettings, description="How documents are scored and counted.")
    alerts: AlertSettings = Field(default_factory=AlertSettings, description="What counts as alarming.")
    console: ConsoleSettings = Field(default_factory=ConsoleSettings, description="Where the console listens.")
    metrics: MetricsSettings = Field(default_factory=MetricsSettings, description="Where the roles serve metrics.")
    local: LocalSettings = Field(default_factory=LocalSettings, description="The run on one machine.")


def load_settings(file: Path | None = None) -> Settings:
    """The settings of `file` (or of FINSENTRY_SETTINGS, or of ./finsentry.toml if there is one) and the variables.

    Raises `SettingsError` that names the file or variable, the key, and what is allowed.
    """
    file = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    given = _merge(_read_file(file) if file else {}, _read_variables(os.environ))
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _explain(error, given, file) from None  # its own text would show values, and with them secrets


def variable(key: str) -> str:
    """The variable that overrides a dotted key: `kafka.bootstrap_servers` is `FINSENTRY_KAFKA__BOOTSTRAP_SERVERS`."""
    return PREFIX + key.upper().replace(".", DELIMITER)


def to_environment(section: str, settings: BaseModel, known: BaseModel | None = None) -> dict[str, str]:
    """Variables that give another process this section, as far as it differs from what that one reads itself.

    `known` is what it reads; the defaults where it is not given. Not for secrets.
    """
    unchanged = type(settings)() if known is None else known
    changed = {name for name in type(settings).model_fields if getattr(settings, name) != getattr(unchanged, name)}
    values = settings.model_dump(mode="json", include=changed)
    return {variable(f"{section}.{key}"): _as_text(value) for key, value in values.items()}


def known_keys() -> dict[str, FieldInfo]:
    """Every key by its dotted name, sections included."""
    return dict(_walk(Settings, ""))


def _walk(model: type[BaseModel], before: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield before + name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _walk(field.annotation, f"{before}{name}.")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read_file(file: Path) -> dict[str, Any]:
    fix = f"give an existing TOML file with --settings or {FILE_VARIABLE}"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings file {file}: {error.strerror}", fix=fix) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"settings file {file} is not UTF-8 text (byte {error.start})", fix=fix) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"settings file {file} is not TOML: {error}", fix="mend the line that it names") from error


def _read_variables(environment: Mapping[str, str]) -> dict[str, Any]:
    known = known_keys()
    given: dict[str, Any] = {}
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX) or name in NO_SETTINGS:
            continue
        key = name[len(PREFIX) :].lower().replace(DELIMITER, ".")
        entry = key not in known and _is_in_a_table(key, known)
        if key not in known and not entry:
            nearest = _nearest(key, known)
            hint = f"did you mean {variable(nearest)}? Otherwise unset it" if nearest else "unset it"
            raise SettingsError(f"the variable {name} is no setting", fix=hint)
        *sections, last = key.split(".")
        place = given
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError(f"the variables {variable(section)} and {name} exclude each other", fix="unset one")
        place[last] = environment[name] if entry else _from_text(name, environment[name], known[key])
    return given


def _is_in_a_table(key: str, known: Mapping[str, FieldInfo]) -> bool:
    """Whether the key is an entry of a table that the settings leave open, as `model.languages.zh`."""
    table = known.get(key.rpartition(".")[0])
    return table is not None and get_origin(table.annotation) is dict


def _from_text(name: str, text: str, field: FieldInfo) -> Any:
    """The text itself, of which pydantic makes numbers and paths; lists, tables and sections are JSON."""
    if not (_is_section(field) or get_origin(field.annotation) in (tuple, list, dict, Mapping)):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingsError(
            f"the variable {name} is not JSON: {error}",
            fix='lists and tables are given as JSON, such as \'["15m", "1h"]\'',
        ) from None


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _nearest(key: str, known: Mapping[str, FieldInfo]) -> str | None:
    found = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if found:
        return found[0]
    last = key.rpartition(".")[2]
    return next((other for other in known if other.rpartition(".")[2] == last), None)


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Sections are joined key by key; anything else of `over` replaces what `under` has."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(error: ValidationError, given: dict[str, Any], file: Path | None) -> SettingsError:
    errors = error.errors(include_url=False)
    # A misspelt key is the cause of the key that is missing.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    key = _dotted(first["loc"], given)
    known = known_keys()
    where = variable(key) if variable(key) in os.environ else f"{file}: {key}" if file else key
    if first["type"] == "extra_forbidden":
        return SettingsError(f"{where} is no setting", fix=_instead(key, known))
    said = first["msg"].removeprefix("Value error, ")
    field = known.get(key)
    shown = f" = {first['input']!r}" if field is not None and _may_be_shown(field, first["input"]) else ""
    described = f"{key}: {field.description}" if field is not None and not _is_section(field) else f"change {key}"
    return SettingsError(f"{where}{shown}: {said}", fix=described)


def _instead(key: str, known: Mapping[str, FieldInfo]) -> str:
    section = key.rpartition(".")[0]
    nearest = _nearest(key, known)
    if nearest and (not section or section in known):
        return f"did you mean {nearest}?"
    beside = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section]
    return f"known there: {', '.join(beside)}" if beside else "take it out"


def _may_be_shown(field: FieldInfo, value: object) -> bool:
    """Not what is a secret, nor what may hold one because a whole section was meant."""
    return field.annotation is not SecretStr and not _is_section(field) and isinstance(value, str | int | float)


def _dotted(location: tuple[int | str, ...], given: Any) -> str:
    """The location as the user wrote it, without the tags that pydantic adds for the kinds of a union."""
    parts: list[str] = []
    for index, part in enumerate(location):
        in_list = isinstance(given, list) and isinstance(part, int)
        if in_list or (isinstance(given, dict) and part in given):
            given = given[part]
        elif index < len(location) - 1:
            continue
        parts.append(str(part))
    return ".".join(parts)
