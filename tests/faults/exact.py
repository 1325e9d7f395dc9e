"""What must hold of the topics once all documents are counted, whatever happened meanwhile."""

from collections import Counter

import msgspec

from stream.broker import BrokerSettings
from stream.records import Document, ScoredDocument
from stream.snapshot import read_topic
from stream.topics import Topics
from stream.windows import minute_of
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
    published = {(record.partition, record.offset): record.value for record in read_topic(kafka, topics.documents)}
    assert len(published) == total + dead
    scored: dict[tuple[int, int], ScoredDocument] = {}
    for record in read_topic(kafka, topics.scored):
        document = msgspec.json.decode(record.value, type=ScoredDocument)
        scored.setdefault((record.partition, document.origin), document)  # what is scored once more does not count
    assert scored.keys() == published.keys()
    read = {
        place: msgspec.json.decode(published[place], type=Document)
        for place, document in scored.items()
        if not document.dead
    }
    # Each by the id that was published there: an answer may not be another one's.
    assert {place: scored[place].id for place in read} == {place: document.id for place, document in read.items()}
    # Without the product's own counting: documents a minute, whatever is said of them.
    minutes = Counter((place[0], minute_of(document.published_at)) for place, document in read.items())
    counted: Counter[tuple[int, int]] = Counter()
    for (partition, _), bucket in buckets.items():
        counted[partition, minute_of(bucket.minute)] += bucket.documents
    assert counted == minutes
    # A worker that dies after a letter leaves it to the next one to write it once more, under the same key.
    letters = {record.key for record in read_topic(kafka, topics.dead_letters)}
    places = scored.keys() - read.keys()
    assert letters == {f"{topics.documents.name}/{partition}/{offset}".encode() for partition, offset in places}
    assert len(letters) == dead
