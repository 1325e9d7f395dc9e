"""Texts in, predictions out: the one thing that the rest of the house asks of a model."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from model.batching import cut_batches, pad
from model.bundle import DEFAULT_BUNDLE, Bundle
from model.drift import Profile, Reference
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS, Sentiment
from model.runtime import Logits, Session, open_session
from model.settings import ModelSettings
from model.text import clean

# Texts tokenised while the ones before them are inferred: few enough that the first batch starts at once, enough that
# sorting them by length leaves little padding.
LOOKAHEAD = 512

# 32 characters a token are far above any language: what lies beyond cannot be among the tokens that are kept, and
# cleaning 5 MB of headline would cost a second.
CHARACTERS_PER_TOKEN = 32


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


class TextClassifier(Protocol):
    """What the stream needs of a classifier, so that a test can drive it with a stub."""

    @property
    def version(self) -> str:
        """Names the bundle; stands on every scored document."""

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in the order of `texts`."""


@runtime_checkable
class Profiled(Protocol):
    """A classifier that knows how far what it reads is from what it was made for."""

    def drift(self) -> dict[str, float]:
        """The population stability index by feature; see `model.drift`."""


class Classifier:
    """A bundle, verified and running. Safe to call from several threads; blocks its caller, so keep it off a loop."""

    def __init__(self, bundle: Bundle, session: Session, settings: ModelSettings) -> None:
        self.bundle = bundle
        self._session = session
        self._budget = settings.batch_tokens
        self._equal = settings.repeatable
        self._tokenizer = _open_tokenizer(bundle)
        self._unknown = _unknown_token(self._tokenizer)
        self._profile = Profile()
        self._profile_lock = Lock()
        self._temperatures = bundle.manifest.temperatures
        self._characters = bundle.manifest.maximum_length * CHARACTERS_PER_TOKEN
        self._inference = ThreadPoolExecutor(settings.threads, thread_name_prefix="inference")
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenising")

    @classmethod
    def load(cls, settings: ModelSettings) -> Self:
        """Verifies the bundle and opens it. Raises `BundleError` or `RuntimeMissingError`."""
        bundle = Bundle.load(settings.bundle or DEFAULT_BUNDLE)
        return cls(bundle, open_session(bundle, settings.provider), settings)

    @property
    def version(self) -> str:
        return self.bundle.manifest.version

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in the order of `texts`; what is longer than the bundle's maximum length is cut.

        Where the settings say `repeatable`, a text's prediction is the same to the last bit whatever texts it is with.
        """
        read = self._read(texts)
        topics = softmax(read.topics / self._temperatures.topic)
        sentiments = softmax(read.sentiments / self._temperatures.sentiment)
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

    def reference(self) -> Reference:
        """The profile of what was classified lately, as a manifest keeps it."""
        with self._profile_lock:
            return self._profile.reference()

    def drift(self) -> dict[str, float]:
        """How far what was classified lately is from what the bundle was made for, by feature; see `model.drift`.

        Empty where the bundle does not say what it was made for, or too few texts were classified to tell.
        """
        made_for = self.bundle.manifest.reference
        with self._profile_lock:
            if made_for is None or self._profile.texts < ENOUGH_TEXTS:
                return {}
            return self._profile.distances(made_for)

    def _read(self, texts: Sequence[str]) -> _Read:
        lengths = np.empty(len(texts), dtype=np.int64)
        unknown = np.empty(len(texts), dtype=np.int64)
        topics = np.empty((len(texts), len(TOPICS)), dtype=np.float32)
        sentiments = np.empty((len(texts), len(SENTIMENTS)), dtype=np.float32)
        starts = range(0, len(texts), LOOKAHEAD)
        ahead = self._tokenising.map(self._tokenise, [texts[start : start + LOOKAHEAD] for start in starts])
        running: list[tuple[list[int], Future[tuple[Logits, Logits]]]] = []
        for start, rows in zip(starts, ahead, strict=True):
            for index, row in enumerate(rows, start):
                lengths[index], unknown[index] = len(row), row.count(self._unknown)
            for batch in cut_batches([len(row) for row in rows], self._budget, equal=self._equal):
                future = self._inference.submit(self._session.run, *pad([rows[index] for index in batch]))
                running.append(([start + index for index in batch], future))
        for indices, future in running:
            topics[indices], sentiments[indices] = future.result()
        return _Read(topics, sentiments, lengths, unknown)

    def close(self) -> None:
        """Waits for running batches and ends the threads."""
        self._tokenising.shutdown()
        self._inference.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        cleaned = [clean(text[: self._characters]) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(cleaned)]


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


def _open_tokenizer(bundle: Bundle) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(bundle.tokenizer_path))
    except Exception as error:  # `tokenizers` raises bare Exception for whatever its file holds
        raise BundleError(f"{bundle.tokenizer_path}: not a tokenizer: {error}", fix="Make the bundle again.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(bundle.manifest.maximum_length)
    return tokenizer
