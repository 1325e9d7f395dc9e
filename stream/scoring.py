"""Scoring one batch: raw records of `documents` in, `scored` records and dead letters out. Pure but for the classifier.

Every input offset gives exactly one scored record, in order: its score, or a record marked dead where it cannot be
processed, so that `scored` alone says what became of each document. Who classifies a document, of several bundles, is
decided by its language and said in its record.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from model.classifier import Prediction, TextClassifier
from model.routing import DEFAULT, Route, Router, ask_by_route
from model.text import says_nothing
from stream.errors import ModelSickError
from stream.records import SCHEMA, DeadLetter, Document, ScoredDocument
from stream.watermarks import NEVER

CLASSIFY = "classify"
"""The stage of a dead letter that the classifier, not the record, is to blame for."""

CANARY = "Shares were little changed in quiet trading."
"""Any sound model can classify this; one that cannot is itself at fault, not the documents."""


DECIMALS = 6
"""Of a probability on the wire: finer than any calibration, and a third of the bytes of a full float."""

_ONE = 10.0**DECIMALS

TITLE_CHARACTERS = 500
"""Of a headline that is carried on: buckets and alerts repeat it, and no record may outgrow the broker's limit."""

URL_CHARACTERS = 2000
"""A longer address is left out: cut, it would lead nowhere."""

NAME_CHARACTERS = 500
"""Of an id, a story, a source or a language, and the bytes of a key. They are carried on and cannot be cut, so a longer
one is refused: no record of ours may outgrow the broker's limit, which would stop the partition."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""No document is older; the year 1 is what some libraries write for no date, and cannot be told in every zone."""

MESSAGE_CHARACTERS = 2000
"""Of what a classifier or a decoder complains about."""

Classify = Callable[[Sequence[str]], Sequence[Prediction]]


# Structs, not named tuples, where one is made for each document: they cost a quarter, and the garbage collector does
# not look at them.


class Received(msgspec.Struct, frozen=True, gc=False):
    """A record of `documents` as the broker gave it."""

    partition: int
    offset: int
    appended_ms: int
    """The broker's clock when it was appended, milliseconds since the epoch."""
    key: bytes | None
    value: bytes | None


class Rejection(NamedTuple):
    """Why a document cannot be processed."""

    stage: str
    error: str
    message: str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a document that could be read: what one bundle said of it, or why it could not."""

    said: Prediction | Rejection
    model: str
    """The bundle's version."""
    route: Route


Answering = Callable[[Sequence[Document]], Sequence[Outcome]]
"""One outcome a document, in their order. Raises `ModelSickError`."""


class Scored(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one received record, of which it holds no more than its place: batches of these wait."""

    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    document: ScoredDocument
    dead_letter: DeadLetter | None
    bundle: str | None = None
    """Key of the bundle that read it (see `model.routing`); None where it got to none."""


class _Decoded(msgspec.Struct, frozen=True, gc=False):
    document: Document
    event: datetime


_decoder = msgspec.json.Decoder(Document)


def read(received: Received, *, max_text_bytes: int) -> _Decoded | Rejection:
    """The document in a record with its event time, which is never after its append; or why there is none."""
    value = received.value
    if not value:
        return Rejection("decode", "EmptyValue", "the record has no value")
    if len(value) > 2 * max_text_bytes:
        return Rejection("decode", "TooLarge", f"the record has {len(value)} bytes; the limit is {2 * max_text_bytes}")
    try:
        document = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # ValidationError is a DecodeError
        return Rejection("decode", type(error).__name__, str(error))
    if document.schema > SCHEMA:
        return Rejection("decode", "UnknownSchema", f"schema {document.schema}; this version reads up to {SCHEMA}")
    if not document.text.strip():
        return Rejection("decode", "EmptyText", "the text is empty")
    # No character takes more than 4 bytes in UTF-8.
    if 4 * len(document.text) > max_text_bytes and (size := len(document.text.encode())) > max_text_bytes:
        return Rejection("decode", "TooLarge", f"the text has {size} bytes; the limit is {max_text_bytes}")
    if says_nothing(document.text) and says_nothing(document.title):
        return Rejection("decode", "EmptyText", "the text holds nothing but links and what cannot be seen")
    if (
        len(document.id) > NAME_CHARACTERS
        or len(document.story) > NAME_CHARACTERS
        or len(document.source) > NAME_CHARACTERS
        or len(document.language) > NAME_CHARACTERS
        or (received.key is not None and len(received.key) > NAME_CHARACTERS)
    ):
        return Rejection("decode", "TooLarge", f"an id, a name or the key is longer than {NAME_CHARACTERS}")
    if document.published_at.tzinfo is None:
        return Rejection("decode", "NaiveTime", "published_at names no time zone")
    if document.published_at < EARLIEST:
        return Rejection("decode", "ImpossibleTime", f"published_at is before {EARLIEST:%Y}: {document.published_at}")
    appended = _moment(received.appended_ms)
    return _Decoded(document, document.published_at if document.published_at < appended else appended)


@lru_cache(maxsize=64)  # the broker stamps all records of a request alike
def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def text_of(document: Document) -> str:
    """What the classifier reads: the title and, where it says more, the text."""
    if not document.title or document.text.startswith(document.title):
        return document.text
    return f"{document.title}. {document.text}"


def classify_each(classify: Classify, texts: Sequence[str]) -> list[Prediction | Rejection]:
    """A prediction or the reason why there is none, for each text.

    A batch that fails is taken apart, so that one bad text costs only itself. Raises `ModelSickError` where the
    classifier fails on a harmless text too, before or after: then no text is to blame.
    """
    try:
        found = _checked(classify(texts), len(texts))
    except Exception as error:
        if not _works(classify):
            raise _sick(type(error).__name__, str(error)) from error
        found = [_classify_one(classify, text) for text in texts]
    else:
        found = [
            _classify_one(classify, text) if isinstance(prediction, Rejection) else prediction
            for prediction, text in zip(found, texts, strict=True)
        ]
    rejected = next((one for one in found if isinstance(one, Rejection)), None)
    if rejected is not None and not _works(classify):
        raise _sick(rejected.error, rejected.message)
    return found


def _sick(error: str, message: str) -> ModelSickError:
    return ModelSickError(f"the classifier fails on every text: {error}: {message}")


def _classify_one(classify: Classify, text: str) -> Prediction | Rejection:
    try:
        return _checked(classify([text]), 1)[0]
    except Exception as error:
        return Rejection(CLASSIFY, type(error).__name__, str(error))


def _works(classify: Classify) -> bool:
    try:
        return not isinstance(_checked(classify([CANARY]), 1)[0], Rejection)
    except Exception:
        return False


def _checked(predictions: Sequence[Prediction], expected: int) -> list[Prediction | Rejection]:
    if len(predictions) != expected:
        raise ValueError(f"the classifier gave {len(predictions)} predictions for {expected} texts")
    return [
        prediction
        if math.isfinite(sum(prediction.probabilities) + prediction.topic_probability)
        else Rejection(CLASSIFY, "NotFinite", f"probabilities {prediction.probabilities}")
        for prediction in predictions
    ]


def by_one(classifier: TextClassifier) -> Answering:
    """Every document is read by one classifier."""
    return by_language(Router(""), {DEFAULT: classifier})


def by_language(router: Router, bundles: Mapping[str, TextClassifier]) -> Answering:
    """Every document is read by the bundle of its language, of those under the keys of the router's routes."""

    def ask(key: str, texts: list[str]) -> Asked:
        bundle = bundles[key]
        return Asked(classify_each(bundle.classify, texts), bundle.version)

    return lambda documents: ask_by_language(router, documents, ask)


class Asked(NamedTuple):
    """What one bundle said of the texts that it was asked."""

    said: list[Prediction | Rejection]
    model: str


def ask_by_language(
    router: Router, documents: Sequence[Document], ask: Callable[[str, list[str]], Asked]
) -> list[Outcome]:
    """Asks each bundle, by its key, for the documents in its language; the outcomes in the order of the documents."""
    texts = [text_of(document) for document in documents]
    routes = router.routes(texts, (document.language for document in documents))
    return [Outcome(*one) for one in ask_by_route(routes, texts, ask)]


class Scorer:
    """Scores batches and keeps the watermark of each `documents` partition that it was given.

    A partition's watermark is the highest event time up to an offset, so it is as exact as the offset that it is
    committed with: `restore` it from there.
    """

    def __init__(self, *, topic: str, max_text_bytes: int) -> None:
        self._topic = topic
        self._max_text_bytes = max_text_bytes
        self._watermarks: dict[int, datetime] = {}

    def restore(self, partition: int, watermark: datetime | None) -> None:
        """Begins a partition at the watermark that its committed offset carries."""
        self._watermarks[partition] = watermark or NEVER

    def score(self, batch: Iterable[Received], now: datetime, answer: Answering) -> list[Scored]:
        """One result for each record, in order; `answer` is asked once, for all that can be read.

        Raises `ModelSickError`; the watermarks are then as before. Scoring a batch once more leaves them the same.
        """
        read_batch = [(received, read(received, max_text_bytes=self._max_text_bytes)) for received in batch]
        documents = [item.document for _, item in read_batch if isinstance(item, _Decoded)]
        outcomes = iter(answer(documents) if documents else [])
        results = []
        for received, item in read_batch:
            watermark = self._watermarks.get(received.partition, NEVER)
            if isinstance(item, Rejection):
                results.append(self._dead(received, item, watermark, now))
                continue
            if item.event > watermark:
                watermark = self._watermarks[received.partition] = item.event
            outcome = next(outcomes)
            if isinstance(outcome.said, Rejection):
                results.append(self._dead(received, outcome.said, watermark, now, bundle=outcome.route.bundle))
            else:
                scored = _scored(received, item, outcome.said, outcome, watermark)
                results.append(_placed(received, scored, None, outcome.route.bundle))
        return results

    def _dead(
        self,
        received: Received,
        rejection: Rejection,
        watermark: datetime,
        now: datetime,
        *,
        bundle: str | None = None,
    ) -> Scored:
        letter = DeadLetter(
            topic=self._topic,
            partition=received.partition,
            offset=received.offset,
            stage=rejection.stage,
            error=rejection.error,
            message=rejection.message[:MESSAGE_CHARACTERS],
            at=now,
            value=received.value or b"",
            key=received.key or b"",
            appended_at=_moment(received.appended_ms),
        )
        marker = ScoredDocument(origin=received.offset, watermark=watermark, dead=True)
        return _placed(received, marker, letter, bundle)


def rounded(probability: float) -> float:
    """The nearest number of `DECIMALS` decimals; of four a document, `round` took a sixth of what scoring takes."""
    return int(probability * _ONE + 0.5) / _ONE


def _placed(received: Received, document: ScoredDocument, letter: DeadLetter | None, bundle: str | None) -> Scored:
    return Scored(received.partition, received.offset, received.appended_ms, received.key, document, letter, bundle)


def _scored(
    received: Received, item: _Decoded, prediction: Prediction, outcome: Outcome, watermark: datetime
) -> ScoredDocument:
    document = item.document
    negative, neutral, positive = prediction.probabilities
    return ScoredDocument(
        origin=received.offset,
        watermark=watermark,
        id=document.id,
        story=document.story,
        title=(document.title or document.text)[:TITLE_CHARACTERS],
        url=document.url if len(document.url) <= URL_CHARACTERS else "",
        source=document.source,
        source_kind=document.source_kind,
        published_at=item.event,
        topic=prediction.topic,
        topic_probability=rounded(prediction.topic_probability),
        sentiment=prediction.sentiment,
        probabilities=(rounded(negative), rounded(neutral), rounded(positive)),
        model=outcome.model,
        language=outcome.route.language,
        fallback=outcome.route.fallback,
    )
