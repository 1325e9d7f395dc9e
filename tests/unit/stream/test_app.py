import gc
import weakref

from stream.app import YOUNG_OBJECTS, rarely_collecting


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
