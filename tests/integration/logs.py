"""Looking into the topics of a real broker, for tests."""

from collections.abc import Callable
from time import monotonic, sleep
from urllib.error import HTTPError, URLError

from stream.broker import BrokerSettings
from stream.records import Bucket, Checkpoint
from stream.snapshot import furthest, read_topic
from stream.topics import Topics
from stream.windows_log import decode_window


def read_windows(broker: BrokerSettings, topics: Topics) -> tuple[dict[tuple[int, str], Bucket], dict[int, Checkpoint]]:
    """The newest value of each bucket by partition and key, and the furthest checkpoint of each partition."""
    buckets: dict[tuple[int, str], Bucket] = {}
    records = list(read_topic(broker, topics.windows))
    for record in records:
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Bucket):
            held = buckets.get((record.partition, entry.key))
            if held is None or held.applied <= entry.applied:
                buckets[record.partition, entry.key] = entry
    return buckets, furthest(records, {})


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Waits for something to hold, asking some times a second; fails the test with `what` when it never does.

    A server that does not answer is asked again, and a machine that stood still in between loses a second by it.
    """
    left = seconds
    why = ""
    while True:
        began = monotonic()
        try:
            if condition():
                return
            why = ""
        except HTTPError:  # an answer
            raise
        except (TimeoutError, ConnectionError, URLError) as error:
            why = f" ({error!r})"
        assert left > 0, f"after {seconds:.0f} s still not so: {what}{why}"
        sleep(0.2)
        left -= min(monotonic() - began, 1.0)
