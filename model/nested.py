"""Records within records as one table, so that two of them can be compared key by key. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Change(NamedTuple):
    """A key at which two records differ; None where one of them lacks it."""

    key: str
    old: object
    new: object

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.old)} -> {_shown(self.new)}"


def flat(record: object, prefix: str = "") -> dict[str, object]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`. Elements of a list go by number, or by their `name` if each has its own."""
    if isinstance(record, Mapping):
        items = [(str(key), value) for key, value in record.items()]
    elif isinstance(record, Sequence) and not isinstance(record, str | bytes):
        items = list(zip(_names(record) or map(str, range(len(record))), record, strict=True))
    else:
        return {prefix: record}
    return {
        key: value
        for name, child in items
        for key, value in flat(child, f"{prefix}.{name}" if prefix else name).items()
    }


def _names(record: Sequence[object]) -> list[str]:
    """What the elements are called; none where one has no name, or that of another."""
    names = [str(one["name"]) for one in record if isinstance(one, Mapping) and "name" in one]
    return names if len(set(names)) == len(record) else []


def changes(old: object, new: object) -> list[Change]:
    """Every key at which the records differ, in the order of `old` and then of `new`."""
    before, after = flat(old), flat(new)
    return [
        Change(key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
