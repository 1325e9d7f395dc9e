"""What must hold of the topics once all documents are counted, whatever happened meanwhile."""

import msgspec

from stream.broker import BrokerSettings
from stream.records import ScoredDocument
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.logs import read_windows
from tests.integration.streaming import counts, offline


def require_exact(kafka: BrokerSettings, topics: Topics, total: int, *, dead: int = 0) -> None:
    """The windows are those of an undisturbed reading of `scored`, and no document is missing from either.

    `dead`: how many records besides are no documents; each has its letter.
    """
    buckets, checkpoints = read_windows(kafka, topics)
    assert counts(buckets) == counts(offline(kafka, topics))
    assert sum(bucket.documents for bucket in buckets.values()) == total
    assert sum(bucket.stories for bucket in buckets.values()) == total - total // 3
    assert sum(checkpoint.late for checkpoint in checkpoints.values()) == 0
    assert sum(checkpoint.dead for checkpoint in checkpoints.values()) == dead
    scored = {
        (record.partition, msgspec.json.decode(record.value, type=ScoredDocument).origin)
        for record in read_topic(kafka, topics.scored)
    }
    assert len(scored) == total + dead
    # A worker that dies after a letter leaves it to the next one to write it once more, under the same key.
    assert len({record.key for record in read_topic(kafka, topics.dead_letters)}) == dead
