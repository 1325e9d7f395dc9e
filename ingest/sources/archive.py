"""An archive on disk, CSV, JSON Lines or Parquet, as documents in event order."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ingest.entries import Entry, EntryRules, Item, Rejected, one_item
from ingest.errors import InputError, RowError
from ingest.settings import IngestSettings
from ingest.sources.tables import Row, open_table
from stream.records import Document, SourceKind

ROLES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "date", "published_at", "published", "created_at", "datetime", "timestamp", "pubdate"),
    "text": ("text", "headlines", "headline", "title", "body", "content", "description", "tweet", "sentence"),
    "title": ("title", "headline", "headlines"),
    "url": ("url", "link"),
    "source": ("source", "publisher", "site"),
    "id": ("id", "guid", "native_id"),
    "language": ("language", "lang"),
}
"""What a column may mean and the names it has in archives, the likeliest first. `text` and `time` are needed."""


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How to read an archive whose columns do not speak for themselves."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Role to column name, in place of looking for one; the roles are those of `ROLES`."""
    kind: SourceKind = "news"
    source: str = ""
    """Name of the source where no column has it; the file's name if empty."""
    language: str = ""
    day_first: bool = False


class ArchiveSource:
    """The documents of one file, sorted by event time; rows of one time stay in the file's order.

    The whole archive is held in memory while it is sorted. The constructor raises `InputError` where the file is none
    of the three kinds, or has no column for text or time.
    """

    def __init__(
        self,
        path: Path,
        settings: IngestSettings,
        options: ArchiveOptions | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        options = options or ArchiveOptions()
        self._table = open_table(path)
        self._columns = find_columns(path, self._table.columns, options.columns)
        self.name = options.source or path.stem
        self.kind: SourceKind = options.kind
        self.rows = 0
        """Rows that the last `read` met, good or bad; blank lines are none."""
        self._rules = EntryRules.of(
            settings, self.name, self.kind, clock, day_first=options.day_first, language=options.language
        )

    def read(self) -> Iterator[Item]:
        """First every bad row, as it is met, then the documents in event order."""
        self.rows = 0
        documents: list[Document] = []
        for row in self._table.rows():
            self.rows += 1
            item = self._item(row)
            if isinstance(item, Rejected):
                yield item
            else:
                documents.append(item)
        documents.sort(key=lambda document: document.published_at)
        yield from documents

    def _item(self, row: Row) -> Item:
        if row.problem:
            return Rejected(row.where, row.problem)
        return one_item(self.name, row.where, lambda: self._rules.document(self._entry(row.cells)))

    def _entry(self, cells: Sequence[object]) -> Entry:
        def cell(role: str) -> object:
            index = self._columns.get(role)
            return None if index is None else cells[index]

        return Entry(
            text=_text(cell("text")),
            title=_text(cell("title")),
            published=cell("time"),
            url=_text(cell("url")),
            native_id=_text(cell("id")),
            language=_text(cell("language")),
            source=_text(cell("source")),
        )


def find_columns(path: Path, columns: Sequence[str], overrides: Mapping[str, str]) -> dict[str, int]:
    """The index of the column for each role that the table has; names are compared without case.

    Raises `InputError` where a named column or role does not exist, or where no column can be text or time.
    """
    places = {name.strip().casefold(): index for index, name in reversed(list(enumerate(columns)))}
    listed = ", ".join(columns) or "none"
    found: dict[str, int] = {}
    for role, name in overrides.items():
        if role not in ROLES:
            raise InputError(f"{role!r} is nothing that a column can be", fix=f"one of {', '.join(ROLES)}")
        if name.strip().casefold() not in places:
            raise InputError(f"{path} has no column {name!r} for {role}", fix=f"its columns are: {listed}")
        found[role] = places[name.strip().casefold()]
    for role, names in ROLES.items():
        if role not in found:
            index = next((places[name] for name in names if name in places), None)
            if index is not None:
                found[role] = index
    for role in ("text", "time"):
        if role not in found:
            raise InputError(
                f"{path} has no {role} column; its columns are: {listed}",
                fix=f"call one {' or '.join(ROLES[role][:3])}, or say which it is with --column {role}=NAME",
            )
    return found


def _text(cell: object) -> str:
    """A cell as text. Raises `RowError` where it holds no text, as a list."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):  # pandas writes an empty text as NaN
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float) and cell.is_integer():  # and an id in a column with gaps as 17.0
        return str(int(cell))
    if isinstance(cell, int | float):
        return str(cell)
    raise RowError(f"a cell holds a {type(cell).__name__} where a text should stand")
