"""A Kafka consumer over a list, in the place of kafka-python's."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import kafka
import pytest


class FakeConsumer:
    """One partition that holds `values`, by key where that matters. While `failure` is set, the broker answers with it.

    `silent` is a broker that tells where the partition ends, and gives nothing of it.
    """

    def __init__(self, *values: bytes, key: bytes = b"k") -> None:
        self.values = list(values)
        self.failure: Exception | None = None
        self.silent = False
        self.closed = False
        self.partitions = {0}
        self._key = key
        self._position = 0

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Makes every consumer that is made from here on this one."""
        monkeypatch.setattr(kafka, "KafkaConsumer", lambda **_: self)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return self.partitions

    def assign(self, _places: Iterable[Any]) -> None:
        """There is one place."""

    def seek_to_beginning(self) -> None:
        self._position = 0

    def seek(self, _place: Any, offset: int) -> None:
        self._position = offset

    def offsets_for_times(self, times: dict[Any, int]) -> dict[Any, Any]:
        return {place: SimpleNamespace(offset=0) for place in times}

    def end_offsets(self, places: Iterable[Any], **_: float) -> dict[Any, int]:
        if self.failure is not None:
            raise self.failure
        return dict.fromkeys(places, len(self.values))

    def position(self, _place: Any, **_: float) -> int:
        return self._position

    def poll(self, *_: float, **__: float) -> dict[Any, list[Any]]:
        if self.silent or self._position == len(self.values):
            return {}
        first, self._position = self._position, len(self.values)
        found = [
            SimpleNamespace(
                topic="t", partition=0, offset=offset, timestamp=0, key=self._key, value=self.values[offset]
            )
            for offset in range(first, self._position)
        ]
        return {kafka.TopicPartition("t", 0): found}

    def close(self) -> None:
        self.closed = True
