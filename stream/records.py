"""What stands in the topics: one struct a record, JSON on the wire so that an operator can read it with `kcat`.

Evolution: add optional fields only. A reader ignores fields that it does not know, and refuses a `schema` above
`SCHEMA`, which only a change that old readers must not misread may raise.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from heapq import nlargest
from typing import Any, Literal

import msgspec

from stream.errors import SchemaError

SCHEMA = 1

SourceKind = Literal["news", "social", "filing"]
Sentiment = Literal["negative", "neutral", "positive"]
Severity = Literal["warning", "critical"]
AlertState = Literal["firing", "resolved"]
PromotionMode = Literal["live", "shadow"]
ProgressState = Literal["loading", "live", "shadowing", "shadowed", "refused"]


class Document(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One text from one source. Key in `documents`: `story`."""

    id: str
    """Stable: 32 hex digits, a hash of the canonical URL, or of the source and its native id."""
    text: str
    """The body, or the title where a source has no more; never empty."""
    source: str
    source_kind: SourceKind
    published_at: datetime
    """Event time, UTC, never later than `fetched_at`."""
    fetched_at: datetime
    story: str
    """`id` of the first document of its near-duplicate cluster; equal to `id` where this one is the first."""
    title: str = ""
    url: str = ""
    language: str = ""
    """ISO 639-1, empty where it is not known."""
    entities: tuple[str, ...] = ()
    schema: int = SCHEMA


class ScoredDocument(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A document's identity and what the classifier said of it, or that it could not be read.

    Stands in the partition of `scored` with the number of its `documents` partition. Key: `story`.
    """

    origin: int
    """Its offset in its `documents` partition. A reader keeps a record only if `origin` is above all before it."""
    watermark: datetime
    """The highest event time of its `documents` partition, this document included."""
    id: str = ""
    story: str = ""
    title: str = ""
    url: str = ""
    source: str = ""
    source_kind: SourceKind | None = None
    published_at: datetime | None = None
    """Event time. This, `topic`, `sentiment` and what goes with them are absent only where `dead` is set."""
    topic: str = ""
    topic_probability: float = 0.0
    sentiment: Sentiment | None = None
    probabilities: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of negative, neutral, positive; they sum to 1 within rounding."""
    model: str = ""
    """Version of the bundle that said so."""
    language: str = ""
    """ISO 639-1, by which the bundle was chosen; empty where it is unknown, or where there was nothing to choose."""
    fallback: bool = False
    """No bundle is made for its language, or that is unknown: the default one read what it was not made for."""
    dead: bool = False
    """This offset could not be processed: `dead-letters` has it. It moves the origin on and is counted as dead."""
    schema: int = SCHEMA


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A headline behind a number."""

    id: str
    title: str
    negative: float
    """The probability of negative sentiment, 0 to 1."""
    published_at: datetime
    source: str = ""
    url: str = ""
    language: str = ""
    fallback: bool = False
    """As in `ScoredDocument`: a number by a bundle that was not made for this language is to be taken with care."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Absolute counts of one topic, one minute of event time, one partition."""

    topic: str
    minute: datetime
    """Start of the minute, UTC."""
    partition: int
    applied: int
    """The highest `scored` offset counted in here. Of two values of one key, the one with the higher is true."""
    documents: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    stories: int = 0
    """Documents that are the first of their story: copies of a wire story count in `documents` alone."""
    negative_stories: int = 0
    evidence: tuple[Evidence, ...] = ()
    """The most negative headlines, most negative first; each the first of its story."""
    closed: bool = False
    """Lateness has passed: the counts are final."""
    schema: int = SCHEMA

    @property
    def key(self) -> str:
        return f"{self.topic}|{self.minute:%Y-%m-%dT%H:%MZ}"


CHECKPOINT_KEY = "checkpoint"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the buckets of one partition have come.

    Everything below `position` in `scored` is in the buckets that stand before this record. The totals are those of
    the whole log up to there: `counted + late + dead + repeats == position` while nothing has expired.
    """

    partition: int
    position: int
    """The next `scored` offset to read."""
    origin: int = -1
    """The highest origin kept so far; a record at or below it is a repeat."""
    watermark: datetime = datetime.min.replace(tzinfo=UTC)
    """The highest event time seen in the log."""
    caught_up: bool = False
    """Nothing in the `documents` partition is still to be scored or counted."""
    counted: int = 0
    late: int = 0
    dead: int = 0
    repeats: int = 0
    schema: int = SCHEMA


WindowRecord = Bucket | Checkpoint
"""What stands in `windows`."""


def window_key(record: WindowRecord, writer: str) -> bytes:
    """The key of `record` in `windows`: its bucket's, or `CHECKPOINT_KEY`, and who writes it.

    Compaction keeps the last record of a key, and what a frozen worker writes when it wakes is the last. Under a key of
    its own that cannot displace what the partition's owner wrote, and readers take the higher `applied` of the two.
    """
    return f"{record.key if isinstance(record, Bucket) else CHECKPOINT_KEY}|{writer}".encode()


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event, from its start to its end. Key in `alerts`: `id`; a later record of the same id replaces it."""

    id: str
    """A hash of topic, judge and start: two alert services that see the same windows write the same id."""
    topic: str
    judge: str
    """`spike` or `drift`."""
    state: AlertState
    severity: Severity
    window: str
    """The window that decided, as in the settings: `1h`, `24h`."""
    started_at: datetime
    evaluated_at: datetime
    """The moment of event time that this verdict is about."""
    negative_stories: int
    stories: int
    documents: int
    share: float
    baseline: float
    lower_bound: float
    reason: str
    """One sentence for a person, with the numbers in it."""
    evidence: tuple[Evidence, ...] = ()
    ended_at: datetime | None = None
    final: str = ""
    """What the verdict about the start became once its minutes were closed; empty until then."""
    schema: int = SCHEMA


PutBack = Literal["begun", "done"]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Raw bytes that could not be processed, and why. Key: `topic/partition/offset`, so a repeat overwrites."""

    topic: str
    partition: int
    offset: int
    stage: str
    error: str
    """Class of the error."""
    message: str
    at: datetime
    value: bytes
    """The record's value as it was, Base64 on the wire."""
    key: bytes = b""
    appended_at: datetime | None = None
    """When the broker took the record. What `scored` says of it bears the same time."""
    put_back: PutBack | None = None
    """Set in the records that say what became of a letter; see `stream.letter_box`."""
    schema: int = SCHEMA

    @property
    def position(self) -> str:
        """Where the record stands that could not be processed, as people name it; in UTF-8 the letter's key."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class BundleRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One bundle as workers find it, and how they know that it is the one that was meant."""

    folder: str
    """Absolute, as workers see it; or the name of a shipped bundle."""
    version: str
    digest: str = ""
    """Of its manifest: by now the folder may hold another bundle of that version."""


class Promotion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which bundle every worker is to run, or to run beside its own.

    Key in `control`: `live`, `live/<language>` or `shadow`.
    """

    id: str
    mode: PromotionMode
    at: datetime
    bundle: BundleRef | None = None
    """None: the bundle of each worker's own settings."""
    language: str = ""
    """ISO 639-1 of the documents that it is for, where they have a bundle of their own; empty: the default one."""
    history: tuple[BundleRef, ...] = ()
    """What was live before, newest last: where a rollback goes, and a worker that cannot load `bundle`."""
    until: datetime | None = None
    """A shadow ends then, though nobody is left to end it."""
    schema: int = SCHEMA


MOST_FLIPS = 5
"""Of a shadow. They travel in each of its reports: a few to judge by, not a list."""


class Flip(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A headline to which a shadow gives another sentiment."""

    title: str
    live: Sentiment
    shadow: Sentiment
    distance: float
    """Half the sum of the differences of the three probabilities, 0 to 1."""


def worst_flips(flips: Iterable[Flip]) -> tuple[Flip, ...]:
    """Those that are furthest apart, furthest first; a headline that came several times counts once."""
    by_title = {flip.title: flip for flip in sorted(flips, key=lambda flip: flip.distance)}
    return tuple(nlargest(MOST_FLIPS, by_title.values(), key=lambda flip: (flip.distance, flip.title)))


class Disagreement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a shadow's labels differ from those that counted: sums, so that workers can be added up."""

    documents: int = 0
    """Compared, hence scored by both."""
    topics: int = 0
    """Documents whose topic differs."""
    sentiments: int = 0
    """Documents whose sentiment differs."""
    negative: float = 0.0
    """Absolute differences of the negative probability, summed."""
    failed: int = 0
    """Documents that the shadow could not classify and the live one could."""
    skipped: int = 0
    """Documents that came while the shadow was busy: the stream does not wait for it."""
    sentiment_matrix: dict[str, dict[str, int]] = {}
    """Documents by the live sentiment and, in that, the shadow's. Earlier versions say neither this nor the rest."""
    topics_from: dict[str, int] = {}
    """Documents whose topic differs, by the live one."""
    topics_to: dict[str, int] = {}
    """The same documents by the shadow's topic."""
    flips: tuple[Flip, ...] = ()
    """`MOST_FLIPS` at most."""

    def __add__(self, other: "Disagreement") -> "Disagreement":
        return Disagreement(
            documents=self.documents + other.documents,
            topics=self.topics + other.topics,
            sentiments=self.sentiments + other.sentiments,
            negative=self.negative + other.negative,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            sentiment_matrix={
                live: _add(self.sentiment_matrix.get(live, {}), other.sentiment_matrix.get(live, {}))
                for live in self.sentiment_matrix | other.sentiment_matrix
            },
            topics_from=_add(self.topics_from, other.topics_from),
            topics_to=_add(self.topics_to, other.topics_to),
            flips=worst_flips((*self.flips, *other.flips)),
        )


def _add(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a worker has come with one promotion."""

    promotion: str
    state: ProgressState
    version: str = ""
    """Of the bundle that was promoted; empty for the one of the worker's settings."""
    reason: str = ""
    """Why it was refused, and what to do."""
    on_trial: bool = False
    """It scores, and its predecessor is kept until its first batches have gone well."""
    disagreement: Disagreement | None = None
    """Of a shadow."""


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker runs and what became of the promotions that it saw. Key in `control`: `worker/<worker>`."""

    worker: str
    at: datetime
    model: str
    """Version of the bundle that scores now."""
    models: dict[str, str] = {}
    """Versions of the bundles that score documents in a language of their own, by its ISO 639-1 code."""
    live: Progress | None = None
    languages: dict[str, Progress] = {}
    """As `live`, of the bundles for a language of its own."""
    shadow: Progress | None = None
    schema: int = SCHEMA


_encoder = msgspec.json.Encoder()
_scored_decoder = msgspec.json.Decoder(ScoredDocument)


def require_known(schema: int) -> None:
    """Raises `SchemaError` where a record's schema is newer than this version."""
    if schema > SCHEMA:
        raise SchemaError(
            f"a record has schema {schema}; this version reads up to {SCHEMA}",
            fix="update this part of finsentry before the parts that write to it",
        )


def read_scored(record: Any) -> ScoredDocument:
    """The document in a record of `scored`, as either of our Kafka clients gives it. Raises `SchemaError`."""
    try:
        document = _scored_decoder.decode(record.value or b"")
        require_known(document.schema)
    except (msgspec.DecodeError, SchemaError, RecursionError) as error:
        raise strange(record, error) from error
    return document


def strange(record: Any, error: Exception) -> SchemaError:
    """The error for a record that cannot be read where only ours should stand, saying where it is."""
    return SchemaError(
        f"{record.topic}, partition {record.partition}, offset {record.offset} cannot be read: {error}",
        fix="let nothing but workers of this version write to this topic; what others wrote must expire first",
    )


def encode(record: msgspec.Struct) -> bytes:
    """The record as one line of JSON."""
    return _encoder.encode(record)


def to_dict(record: msgspec.Struct) -> dict[str, Any]:
    """The record as plain JSON types, for people and programs outside the stream."""
    result: dict[str, Any] = msgspec.to_builtins(record)
    return result
