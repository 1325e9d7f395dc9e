import gc
import weakref
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from model.labels import SENTIMENTS, TOPICS
from stream import metrics
from stream.app import YOUNG_OBJECTS, rarely_collecting, run_worker
from stream.broker import BrokerSettings
from stream.errors import InputError
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings


class Knot:
    """Garbage that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_in_cycles_is_freed_later_but_freed() -> None:
    with rarely_collecting():
        first = weakref.ref(Knot())
        kept = [[number] for number in range(YOUNG_OBJECTS // 2)]
        assert first() is not None, "the default would have looked by now"
        kept += [[number] for number in range(YOUNG_OBJECTS)]
        assert first() is None


def test_the_collector_is_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with rarely_collecting():
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_documents_are_counted_from_zero_whatever_comes_first(tmp_path: Path) -> None:
    metrics.COUNTED.clear()
    nothing = cast("Any", None)
    with pytest.raises(InputError):  # it comes no further, so the rest is not asked for
        run_worker(
            BrokerSettings(bootstrap_servers="localhost:1", security_protocol="SSL", ca_file=str(tmp_path / "no.pem")),
            Topics(TopicSettings()),
            StreamSettings(),
            live=nothing,
            server=nothing,
            load=nothing,
        )
    for topic in TOPICS:
        for sentiment in (*SENTIMENTS, ""):
            labels = {"topic": topic, "sentiment": sentiment}
            assert REGISTRY.get_sample_value("finsentry_documents_counted_total", labels) == 0
