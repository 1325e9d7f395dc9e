"""Headlines for tests."""

from datetime import UTC, datetime

from stream.records import Evidence

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def item(title: str, negative: float) -> Evidence:
    return Evidence(id=f"{title}{negative}", title=title, negative=negative, published_at=AT)
