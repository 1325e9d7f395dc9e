"""Writing keys into a settings file that a person keeps: everything else of it stays as it is."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from deploy.errors import SettingsError
from deploy.settings import DEFAULT_FILE, FILE_VARIABLE


def settings_file() -> Path:
    """The file that settings are read from, which may not exist yet."""
    return Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)


def with_keys(text: str, section: str, values: Mapping[str, int]) -> str:
    """The TOML `text` with `values` in `section`; comments, order and all other keys as they are.

    Raises `tomlkit`'s errors where `text` is no TOML, or `section` is no table in it.
    """
    document = tomlkit.parse(text)
    if section not in document:
        document[section] = tomlkit.table()
    table = document[section]
    for key, value in values.items():
        table[key] = value
    return tomlkit.dumps(document)


def write_keys(file: Path, section: str, values: Mapping[str, int]) -> None:
    """Puts `values` into `section` of `file`, which is replaced at once or not at all. Raises `SettingsError`."""
    file = file.resolve()
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        after = with_keys(before, section, values)
        if not before:
            file.write_text(after, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as new:
            new.write(after)
        Path(new.name).chmod(file.stat().st_mode)
        Path(new.name).replace(file)
    except OSError as error:
        raise SettingsError(
            f"settings file {file}: {error.strerror}", fix=f"write these lines yourself:\n{lines(section, values)}"
        ) from error
    except (ParseError, TOMLKitError, TypeError) as error:
        raise SettingsError(f"settings file {file}: {error}", fix=f"make `{section}` a table in it") from error


def lines(section: str, values: Mapping[str, int]) -> str:
    """What to paste."""
    return "\n".join([f"[{section}]", *(f"{key} = {value}" for key, value in values.items())])
