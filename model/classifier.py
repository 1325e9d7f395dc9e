"""Texts in, predictions out: the one thing that the rest of the house asks of a model."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from model.batching import cut_batches, is_full, pad, round_up
from model.bundle import DEFAULT_BUNDLE, Bundle
from model.drift import ENOUGH_REFERENCE, Profile, Reference
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS, Head, Sentiment
from model.placement import Placement
from model.runtime import Logits, Session, open_session
from model.settings import ModelSettings
from model.text import clean

# Texts tokenised while the ones before them are inferred: few enough that the first batch starts at once. What fills
# no batch waits for the next of them.
LOOKAHEAD = 512

# Batches of each thread that are cut and wait: memory must not grow where tokenising is faster than inference.
WAITING = 8

# 32 characters a token are far above any language: what lies beyond cannot be among the tokens that are kept, and
# cleaning 5 MB of headline would cost a second.
CHARACTERS_PER_TOKEN = 32

CLEANED_AT_MOST = 8
"""Times the characters that are kept: what links and white space before them may take, which cleaning removes."""

UNKNOWN_TOKENS = ("[UNK]", "<unk>")

ENOUGH_TEXTS = 1000
"""Fewer say little of a stream: by chance alone twenty bins of a thousand texts are 0.02 apart."""


class Prediction(NamedTuple):
    """What the classifier says of one text. Probabilities are calibrated."""

    topic: str
    topic_probability: float
    sentiment: Sentiment
    probabilities: tuple[float, float, float]
    """Of negative, neutral, positive; they sum to 1 within rounding."""


class _Read(NamedTuple):
    """What the network said of each text, and what it read of it."""

    topics: Logits
    sentiments: Logits
    lengths: npt.NDArray[np.int64]
    """Tokens."""
    unknown: npt.NDArray[np.int64]
    """Of these, tokens that the vocabulary does not have."""


class TextClassifier(ABC):
    """What is asked of a classifier. All but its version and its answers has a default, so that stubs are short."""

    version: str
    """Names the bundle; stands on every scored document."""
    language: str | None = None
    """What it is made for, ISO 639-1; None where nobody says."""
    provider: str = "cpu"
    """Where it runs."""

    @abstractmethod
    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in the order of `texts`."""

    def pieces(self, text: str) -> list[tuple[int, int]]:  # noqa: ARG002
        """Where the tokens stand in `text`, as (start, end) in characters; none where it does not say."""
        return []

    def is_full(self, text: str) -> bool:  # noqa: ARG002
        """Whether nothing that follows `text` would be read."""
        return False

    def drift(self) -> dict[str, float]:
        """The population stability index by feature, see `model.drift`; empty where it cannot tell."""
        return {}

    def close(self) -> None:  # noqa: B027
        """Ends its threads, where it has any."""


class Classifier(TextClassifier):
    """A bundle, verified and running. Safe to call from several threads; blocks its caller, so keep it off a loop."""

    def __init__(
        self,
        bundle: Bundle,
        session: Session,
        settings: ModelSettings,
        heads: "Mapping[Head, Classifier] | None" = None,
    ) -> None:
        """`heads`: a composed bundle's second model, which is opened where it is not given. Both end with this one."""
        self.bundle = bundle
        self.version = bundle.manifest.version
        self.language = bundle.manifest.language
        self._settings = settings
        self._session = session
        # A composed bundle's second model: the same again, with a tokenizer and batches of its own.
        self._heads = heads or {
            head: Classifier(one, open_session(one, settings), settings) for head, one in bundle.heads().items()
        }
        self._placement = session.placement
        self.provider = self._placement.provider
        # Where lengths are rounded they are few, so that batches of one length fill.
        self._equal = settings.repeatable or bool(self._placement.lengths)
        self._tokenizer = open_tokenizer(bundle)
        self._unknown = _unknown_token(self._tokenizer)
        self._profile = Profile()
        self._profile_lock = Lock()
        self.temperatures = bundle.manifest.temperatures
        self._characters = bundle.manifest.maximum_length * CHARACTERS_PER_TOKEN
        self._inference = ThreadPoolExecutor(self._placement.threads, thread_name_prefix="inference")
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenising")

    @classmethod
    def load(cls, settings: ModelSettings) -> Self:
        """Verifies the bundle and opens it. Raises `BundleError` or `RuntimeMissingError`."""
        bundle = Bundle.load(settings.bundle or DEFAULT_BUNDLE)
        return cls(bundle, open_session(bundle, settings), settings)

    @property
    def placement(self) -> Placement:
        """Where it runs and in what portions."""
        return self._placement

    def placed(self, placement: Placement) -> Self:
        """Another classifier on the same loaded model, run in other portions; to be closed by itself."""
        heads = {head: one.placed(placement) for head, one in self._heads.items()}
        return type(self)(self.bundle, self._session.placed(placement), self._settings, heads)

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in the order of `texts`; what is longer than the bundle's maximum length is cut.

        Where the settings say `repeatable` and it runs on the CPU, a text's prediction is the same to the last bit
        whatever texts it is with.
        """
        read = self._read(texts)
        topics = softmax(read.topics / self.temperatures.topic)
        sentiments = softmax(read.sentiments / self.temperatures.sentiment)
        best, moods = topics.argmax(axis=1), sentiments.argmax(axis=1)
        sure = np.take_along_axis(topics, best[:, None], axis=1)[:, 0]
        with self._profile_lock:
            self._profile.add(best, moods, sure, read.lengths, read.unknown)
        return [
            Prediction(TOPICS[topic], probability, SENTIMENTS[sentiment], (negative, neutral, positive))
            for topic, probability, sentiment, (negative, neutral, positive) in zip(
                best.tolist(), sure.tolist(), moods.tolist(), sentiments.tolist(), strict=True
            )
        ]

    def logits(self, texts: Sequence[str]) -> tuple[Logits, Logits]:
        """Topic logits (texts x 20) and sentiment logits (texts x 3) before temperatures, in the order of `texts`."""
        read = self._read(texts)
        return read.topics, read.sentiments

    def pieces(self, text: str) -> list[tuple[int, int]]:
        """Where the tokens that the sentiment is read from stand in `text`, as (start, end) in characters."""
        reader = self._heads.get("sentiment", self)
        looked_at = text[: CLEANED_AT_MOST * reader._characters]
        encoded = reader._tokenizer.encode(looked_at.encode("utf-8", "replace").decode("utf-8"))
        return [(start, end) for start, end in encoded.offsets if start < end]

    def is_full(self, text: str) -> bool:
        """Whether nothing that follows `text` would be read for the sentiment: it fills the maximum length."""
        reader = self._heads.get("sentiment", self)
        (row,) = reader._tokenise([text])
        return (
            len(text) >= CLEANED_AT_MOST * reader._characters
            or len(reader._cleaned(text)) >= reader._characters
            or len(row) >= reader.bundle.manifest.maximum_length
        )

    def profile_anew(self, *, half_at: float) -> None:
        """Forgets what was classified so far; `half_at` as in `model.drift.Profile`."""
        with self._profile_lock:
            self._profile = Profile(half_at=half_at)

    def reference(self) -> Reference:
        """The profile of what was classified lately, as a manifest keeps it."""
        with self._profile_lock:
            return self._profile.reference()

    def drift(self) -> dict[str, float]:
        """How far what was classified lately is from what the bundle was made for, by feature; see `model.drift`.

        Empty where the bundle does not say what it was made for, or says it by too few texts, or too few were
        classified to tell.
        """
        made_for = self.bundle.manifest.reference
        with self._profile_lock:
            if made_for is None or made_for.texts < ENOUGH_REFERENCE or self._profile.texts < ENOUGH_TEXTS:
                return {}
            return self._profile.distances(made_for)

    def _read(self, texts: Sequence[str]) -> _Read:
        read = _Read(
            np.empty((len(texts), len(TOPICS)), dtype=np.float32),
            np.empty((len(texts), len(SENTIMENTS)), dtype=np.float32),
            np.empty(len(texts), dtype=np.int64),
            np.empty(len(texts), dtype=np.int64),
        )
        running: deque[tuple[list[int], Future[tuple[Logits, Logits]]]] = deque()
        for indices, rows, length in self._batches(texts):
            read.lengths[indices] = [len(row) for row in rows]
            read.unknown[indices] = [row.count(self._unknown) for row in rows]
            running.append((indices, self._inference.submit(self._session.run, *pad(rows, length))))
            if len(running) > self._placement.threads * WAITING:
                _collect(read, *running.popleft())
        while running:
            _collect(read, *running.popleft())
        if "topic" in self._heads:
            read = read._replace(topics=self._heads["topic"].logits(texts)[0])
        if "sentiment" in self._heads:
            read = read._replace(sentiments=self._heads["sentiment"].logits(texts)[1])
        return read

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[list[int]], int]]:
        """Indices of the texts of each batch, their token ids, and the length to pad them to."""
        budget, lengths = self._placement.batch_tokens, self._placement.lengths
        waiting: dict[int, list[int]] = {}
        seen = 0
        for chunk in self._tokenised(texts):
            waiting.update(enumerate(chunk, seen))
            seen += len(chunk)
            indices = list(waiting)
            padded = [round_up(len(row), lengths) for row in waiting.values()]
            for batch in cut_batches(padded, budget, equal=self._equal):
                if seen == len(texts) or is_full([padded[place] for place in batch], budget):
                    chosen = [indices[place] for place in batch]
                    yield chosen, [waiting.pop(index) for index in chosen], padded[batch[-1]]

    def _tokenised(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """Token ids of the texts, some hundred at a time; the next of them in the making meanwhile."""
        starts = range(0, len(texts), LOOKAHEAD)
        chunks = (self._tokenising.submit(self._tokenise, texts[start : start + LOOKAHEAD]) for start in starts)
        ahead = next(chunks, None)
        while ahead is not None:
            current, ahead = ahead, next(chunks, None)
            yield current.result()

    def close(self) -> None:
        """Waits for running batches and ends the threads."""
        self._tokenising.shutdown()
        self._inference.shutdown()
        for one in self._heads.values():
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cleaned(self, text: str) -> str:
        return clean(text[: CLEANED_AT_MOST * self._characters])[: self._characters]

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast([self._cleaned(text) for text in texts])]


def _collect(read: _Read, indices: list[int], future: Future[tuple[Logits, Logits]]) -> None:
    read.topics[indices], read.sentiments[indices] = future.result()


def softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """Probabilities along the last axis, in float64 so that they sum to 1 within 1e-12."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    result: npt.NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def _unknown_token(tokenizer: Tokenizer) -> int:
    """The id of the token that stands for what the vocabulary does not have; -1 where there is none."""
    found = (tokenizer.token_to_id(name) for name in UNKNOWN_TOKENS)
    return next((number for number in found if number is not None), -1)


def open_tokenizer(bundle: Bundle) -> Tokenizer:
    """The bundle's tokenizer, cutting at its maximum length and padding nothing. Raises `BundleError`."""
    try:
        tokenizer = Tokenizer.from_file(str(bundle.tokenizer_path))
    except Exception as error:  # `tokenizers` raises bare Exception for whatever its file holds
        raise BundleError(f"{bundle.tokenizer_path}: not a tokenizer: {error}", fix="Make the bundle again.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(bundle.manifest.maximum_length)
    return tokenizer
