"""One bucket while it may still change: counts of one topic, minute and partition. Pure arithmetic."""

from bisect import insort

from stream.records import Bucket, Evidence, ScoredDocument
from stream.windows import moment_of


class OpenBucket:
    """Counts documents in the order of the log, and passes over what it has counted before.

    `applied` is the highest `scored` offset in here: a worker that took the partition over reads some of the log
    again, and a record at or below `applied` is already in the counts.
    """

    __slots__ = (
        "_evidence",
        "_limit",
        "applied",
        "closed",
        "documents",
        "minute",
        "negative",
        "negative_stories",
        "neutral",
        "positive",
        "stories",
        "topic",
    )

    def __init__(self, topic: str, minute: int, *, evidence_limit: int) -> None:
        self.topic = topic
        self.minute = minute
        self.applied = -1
        self.closed = False
        """Written as closed: nothing is counted any more, whatever lateness is allowed since."""
        self.documents = self.negative = self.neutral = self.positive = 0
        self.stories = self.negative_stories = 0
        self._limit = evidence_limit
        self._evidence: list[tuple[float, int, Evidence]] = []  # (-negative, offset, item), most negative first

    @classmethod
    def from_record(cls, record: Bucket, minute: int, *, evidence_limit: int) -> "OpenBucket":
        """The bucket as it was when `record` was written."""
        bucket = cls(record.topic, minute, evidence_limit=evidence_limit)
        bucket.applied = record.applied
        bucket.closed = record.closed
        bucket.documents = record.documents
        bucket.negative = record.negative
        bucket.neutral = record.neutral
        bucket.positive = record.positive
        bucket.stories = record.stories
        bucket.negative_stories = record.negative_stories
        # Their offsets are not kept; what comes later has a higher one, and ties keep the earlier headline.
        bucket._evidence = [(-item.negative, place, item) for place, item in enumerate(record.evidence)]
        return bucket

    def add(self, offset: int, document: ScoredDocument) -> bool:
        """Counts the document that stands at `offset` of `scored`; False where it was counted before."""
        if offset <= self.applied:
            return False
        self.applied = offset
        self.documents += 1
        head = document.story == document.id
        self.stories += head
        if document.sentiment == "negative":
            self.negative += 1
            self.negative_stories += head
            if head:
                # Five copies of one story would tell a reader one thing; and what is judged are stories.
                self._remember(offset, document)
        elif document.sentiment == "positive":
            self.positive += 1
        else:
            self.neutral += 1
        return True

    def _remember(self, offset: int, document: ScoredDocument) -> None:
        negative = document.probabilities[0]
        if len(self._evidence) >= self._limit and (not self._limit or -negative >= self._evidence[-1][0]):
            return
        for entry in self._evidence:
            if entry[2].title == document.title:
                if entry[0] <= -negative:
                    return
                self._evidence.remove(entry)
                break
        assert document.published_at is not None
        item = Evidence(
            id=document.id,
            title=document.title,
            negative=negative,
            published_at=document.published_at,
            source=document.source,
            url=document.url,
            language=document.language,
            fallback=document.fallback,
        )
        insort(self._evidence, (-negative, offset, item), key=lambda entry: entry[:2])
        del self._evidence[self._limit :]

    def record(self, partition: int, *, closed: bool) -> Bucket:
        """The bucket as it stands now, for the `windows` topic."""
        return Bucket(
            topic=self.topic,
            minute=moment_of(self.minute),
            partition=partition,
            applied=self.applied,
            documents=self.documents,
            negative=self.negative,
            neutral=self.neutral,
            positive=self.positive,
            stories=self.stories,
            negative_stories=self.negative_stories,
            evidence=tuple(item for _, _, item in self._evidence),
            closed=closed,
        )
