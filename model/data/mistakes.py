"""What is wrong in a recipe, said in the words of the file that a person wrote."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from model.errors import InputError

NAMED = 5
"""Mistakes that one answer names: whoever made more has seen the pattern by then."""

COMPARE = "Compare with model/configs/default.toml."


def mistakes(error: ValidationError, kind: type[BaseModel], raw: object, path: Path) -> InputError:
    """The error that names `path`, where in it, what is wrong there and what would be right.

    `raw` is what stood in the file and did not become a `kind`.
    """
    known = dict(_walk(kind))
    # Misspelt keys first, as they are what is wrong for sure.
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    meant = {_meant(one, raw, known) for one in found}
    # A misspelt key is the cause of the key that is missing.
    said = [
        (_what(one, raw), _hint(one, raw, known))
        for one in found
        if one["type"] != "missing" or one["loc"] not in meant
    ]
    if len(said) == 1:
        ((what, hint),) = said
        return InputError(f"{path}: {what}", fix=hint or COMPARE)
    lines = [f"{path}: {len(said)} mistakes", *(f"  {what}. {hint}".rstrip() for what, hint in said[:NAMED])]
    if len(said) > NAMED:
        lines.append(f"  and {len(said) - NAMED} more")
    return InputError("\n".join(lines), fix=COMPARE)


def _walk(kind: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key by its dotted name, tables included; those of a list of tables as of one table."""
    for name, field in kind.model_fields.items():
        yield before + name, field
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _walk(part, f"{before}{name}.")


def _what(one: ErrorDetails, raw: object) -> str:
    where = _where(one["loc"], raw)
    if one["type"] == "extra_forbidden":
        return f"{where} is no key"
    if one["type"] == "missing":
        return f"{where} is missing"
    shown = f" = {one['input']!r}" if isinstance(one["input"], str | int | float) else ""
    return f"{where}{shown}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _where(location: Sequence[int | str], raw: object) -> str:
    """The dotted key; of a table in a list, what it is named: `source 'posts': holdout`."""
    if len(location) < 2 or not isinstance(location[1], int):
        return ".".join(map(str, location))
    name = _at(raw, [*location[:2], "name"])
    one = str(location[0]).removesuffix("s")
    one = f"{one} {name!r}" if isinstance(name, str) else f"{one} {location[1] + 1}, which has no name"
    return ": ".join(filter(None, (one, ".".join(map(str, location[2:])))))


def _hint(one: ErrorDetails, raw: object, known: Mapping[str, FieldInfo]) -> str:
    """What to write instead; "" where the mistake says it."""
    key = _key(one)
    table, _, last = key.rpartition(".")
    if one["type"] == "extra_forbidden":
        if homes := _homes(last, known):
            return f"`{last}` belongs {' or '.join(map(_header, homes))}."
        if meant := _meant(one, raw, known):
            return f"Did you mean `{meant[-1]}`?"
        return f"Known there: {', '.join(_keys_of(table, known))}."
    field = known.get(key)
    if field is None or not field.description or (one["type"] == "value_error" and _keys_of(key, known)):
        return ""
    return f"`{last}`: {field.description}"


def _meant(one: ErrorDetails, raw: object, known: Mapping[str, FieldInfo]) -> tuple[int | str, ...]:
    """Where the key nearest to an unknown one stands, rather one that the table does not have yet; () without one."""
    *table, last = one["loc"]
    if one["type"] != "extra_forbidden" or _homes(str(last), known):
        return ()
    beside = _keys_of(_key(one).rpartition(".")[0], known)
    given = _at(raw, table)
    free = [name for name in beside if not isinstance(given, dict) or name not in given]
    near = difflib.get_close_matches(str(last), free, n=1) or difflib.get_close_matches(str(last), beside, n=1)
    return (*table, near[0]) if near else ()


def _key(one: ErrorDetails) -> str:
    """The dotted key as `_walk` has it."""
    return ".".join(part for part in one["loc"] if isinstance(part, str))


def _homes(last: str, known: Mapping[str, FieldInfo]) -> list[str]:
    """The tables that have such a key."""
    return [name.rpartition(".")[0] for name in known if name.rpartition(".")[2] == last]


def _keys_of(table: str, known: Mapping[str, FieldInfo]) -> list[str]:
    return [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == table]


def _header(table: str) -> str:
    if not table:
        return "at the top of the file, before the first [table]"
    return "under [[sources]]" if table == "sources" else f"under [{table}]"


def _at(raw: Any, location: Sequence[int | str]) -> object:
    """What stands there in the file, None where nothing does."""
    for part in location:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return None
    return raw
