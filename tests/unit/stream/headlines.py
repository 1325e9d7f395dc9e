"""Headlines for tests."""

import sys
from datetime import UTC, datetime

from stream.records import Evidence
from stream.windows import WindowTable

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def item(title: str, negative: float) -> Evidence:
    return Evidence(id=f"{title}{negative}", title=title, negative=negative, published_at=AT)


def headlines_of(table: WindowTable) -> list[Evidence]:
    """All that it holds, each title of a topic once."""
    start, end = table.span() or (0, 0)
    return [item for topic in table.topics() for item in table.evidence(topic, end, end - start, sys.maxsize)]
