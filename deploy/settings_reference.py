"""Every setting with its type, default, variable and meaning, read off the models: a list, or a settings file."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import tomlkit

from deploy.settings import Settings, variable

WIDTH = 100

INTRODUCTION = (
    "Every setting of FinSentry at its default. Keep what you change, and let the rest follow the defaults of the "
    "version that you run. Before a key stand its meaning, then its type and the variable that overrides it; lists and "
    "tables are given to a variable as JSON. Lines that begin with # and no blank are examples: of keys that have no "
    "default, and of sources."
)

BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
"""What JSON Schema calls them, and how a person says it."""

Schema = Mapping[str, Any]
"""A part of the JSON schema that pydantic makes of the models."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. In a list of tables or an open table it has no variable: the whole has one."""

    key: str
    """Dotted; `[feed]` stands for a table of that type in a list, `[*]` for one of any name."""
    type: str
    default: Any
    """As JSON has it; None where the key is absent by default."""
    required: bool
    """Whether its table must hold it."""
    variable: str
    description: str
    example: Any = None


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the settings file, without the tables in it."""

    path: str
    description: str
    keys: tuple[Key, ...]
    holder: Key | None = None
    """Of the first table in a list or an open table: that list or table."""
    entries: Mapping[str, Mapping[str, Any]] | None = None
    """The tables that stand by default in the place of `[*]`, by name."""


def sections() -> list[Section]:
    """Every section in the order of a settings file: a table's own keys come before the tables in it."""
    schema = Settings.model_json_schema()
    return list(_tables(Section("", "", ()), schema, schema["$defs"]))


def keys() -> list[Key]:
    """Every key, in the order of the sections."""
    return [key for section in sections() for key in (section.holder, *section.keys) if key is not None]


def as_toml() -> str:
    """A settings file with every key at its default; `load_settings` makes of it what it makes of an empty file."""
    return "\n".join([*_comment(INTRODUCTION), *(line for section in sections() for line in _lines(section))]) + "\n"


# ---- reading the schema


def _tables(section: Section, table: Schema, known: Schema) -> Iterator[Section]:
    """The section with the keys of its table, and every section below it."""
    below: list[tuple[Section, Schema]] = []
    found: list[Key] = []
    for name, node in table["properties"].items():
        key = _key(f"{section.path}.{name}".removeprefix("."), node, required=name in table.get("required", ()))
        members = _members(node, known)
        if not members:
            found.append(key)
        for place, (member, one) in enumerate(members.items()):
            plain = member == ""
            inner = Section(
                key.key + member,
                key.description if plain else one["description"],
                (),
                None if plain or place else key,
                key.default if member == "[*]" else None,
            )
            below.append((inner, one))
    yield replace(section, keys=tuple(found))
    for inner, one in below:
        yield from _tables(inner, one, known)


def _members(node: Schema, known: Schema) -> dict[str, Schema]:
    """The tables that the key holds, by what distinguishes them; none where it holds a plain value."""
    if "$ref" in node:
        return {"": _resolved(node, known)}
    if "$ref" in node.get("additionalProperties", ()):
        return {"[*]": _resolved(node["additionalProperties"], known)}
    types = node.get("items", {}).get("discriminator", {}).get("mapping", {})
    return {f"[{name}]": _resolved({"$ref": place}, known) for name, place in types.items()}


def _resolved(node: Schema, known: Schema) -> Schema:
    found: Schema = known[node["$ref"].rpartition("/")[2]]
    return found


def _key(path: str, node: Schema, *, required: bool) -> Key:
    return Key(
        path,
        _type(node),
        node.get("default"),
        required,
        "" if "[" in path else variable(path),
        node.get("description", ""),
        next(iter(node.get("examples", ())), None),
    )


def _type(node: Schema) -> str:
    """The type in words, with what bounds it."""
    if "$ref" in node or "discriminator" in node:
        return "table"  # its keys are listed beside it
    if "anyOf" in node:
        return _type(next(one for one in node["anyOf"] if one.get("type") != "null"))
    if "const" in node:
        return f'"{node["const"]}"'
    if "enum" in node:
        quoted = [f'"{value}"' for value in node["enum"]]
        return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return " ".join([_kind(node), *_bounds(node)])


def _kind(node: Schema) -> str:
    match node["type"]:
        case "array":
            return f"list of: {_type(node['items'])}"
        case "object":
            return f"table of: {_type(node['additionalProperties'])}"
        case "string":
            return {"path": "path", "password": "secret text"}.get(node.get("format", ""), "text")
        case plain:
            return {"integer": "whole number", "number": "number", "boolean": "true or false"}[plain]


def _bounds(node: Schema) -> Iterator[str]:
    for name, words in BOUNDS.items():
        if name in node:
            yield f"{words} {node[name]:g}"
    if "pattern" in node:
        yield f"that matches {node['pattern']}"
    if any(node.get(name) for name in ("minLength", "minItems", "minProperties")):
        yield "(not empty)"


# ---- writing the file


def _lines(section: Section) -> Iterator[str]:
    yield ""
    if section.holder is not None:
        yield from _described(section.holder)
        yield ""
    yield from _comment(section.description)
    if section.entries is None:
        yield from _table(section)
        return
    for place, (name, values) in enumerate(section.entries.items()):
        yield from [""] if place else []
        yield f"[{section.path.removesuffix('[*]')}.{name}]"
        for key in section.keys:
            yield from [] if place else _described(key)
            yield _assigned(key, values[_last(key)])


def _table(section: Section) -> Iterator[str]:
    is_example = "[" in section.path
    if section.path:
        name = re.sub(r"\[.*?\]", "", section.path)
        header = f"[[{name}]]" if section.path.endswith("]") else f"[{name}]"
        yield f"#{header}" if is_example else header
    for place, key in enumerate(section.keys):
        yield from [""] if place else []
        yield from _described(key)
        has_default = key.default is not None
        line = _assigned(key, key.default if has_default else key.example)
        yield line if has_default and not is_example else f"#{line}"


def _described(key: Key) -> Iterator[str]:
    yield from _comment(key.description)
    such_as = key.example is not None and key.default is not None
    notes = [
        key.type,
        f"such as {_value(key.example)}" if such_as else "",
        "required" if key.required else "",
        key.variable,
    ]
    yield from _comment("; ".join(filter(None, notes)))


def _assigned(key: Key, value: Any) -> str:
    return f"{_last(key)} = {_value(value)}"


def _last(key: Key) -> str:
    return key.key.rpartition(".")[2]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline.as_string()
    return str(tomlkit.item(value).as_string())


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
