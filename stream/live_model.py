"""Which classifiers score, and when another takes a place. Pure: no Kafka, no thread of its own, the clock passed in.

Each language that has a bundle of its own has a slot, and all others share the default one. A swap is a call between
two batches, made in the thread that scores. The new classifier is then on trial for its slot's first batches: whatever
it cannot do and its predecessor can, on the same documents, brings the predecessor back, and that batch is the
predecessor's.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

from model.classifier import TextClassifier
from model.routing import DEFAULT, Router
from stream.errors import ModelSickError
from stream.records import BundleRef, Document
from stream.scoring import Asked, Outcome, Received, Rejection, Scored, Scorer, ask_by_language, classify_each

TRIAL_BATCHES = 10
"""Length of a trial: under load some thousand documents, in which a model that fails at all will have failed.

Both classifiers are in memory until it ends.
"""


class Loaded(NamedTuple):
    """A classifier that is ready, and which bundle it is."""

    bundle: BundleRef | None
    """None: the one of the worker's settings."""
    classifier: TextClassifier


class Verdict(NamedTuple):
    """How a trial ended."""

    tried: Loaded
    reason: str
    """Why it was taken back; empty where it stays."""
    slot: str = DEFAULT


class Part(NamedTuple):
    """What one slot did of a batch."""

    model: str
    """Version of the bundle that scored all documents of this part."""
    seconds: float
    """How long its classifier took."""


class Batch(NamedTuple):
    """A scored batch: every document of one slot by one classifier."""

    scored: list[Scored]
    parts: dict[str, Part]
    """By slot, of those that had a document in it."""
    verdicts: list[Verdict]


class Slot:
    """The classifier that scores in one place and, during a trial, the one before it."""

    def __init__(self, first: Loaded, *, key: str = DEFAULT, trial_batches: int = TRIAL_BATCHES) -> None:
        self.current = first
        self.verdict: Verdict | None = None
        """How the last trial ended, until somebody takes it."""
        self._key = key
        self._trial_batches = trial_batches
        self._before: Loaded | None = None
        self._left = 0

    @property
    def on_trial(self) -> bool:
        """The current one still has its predecessor behind it."""
        return self._before is not None

    @property
    def version(self) -> str:
        """Of the bundle that scores now."""
        return self.current.classifier.version

    def swap(self, new: Loaded) -> None:
        """From the next batch on `new` scores, on trial. What is no longer needed is closed.

        Of two swaps in a row the first predecessor stays behind: the one between was never proven.
        """
        if self._before is None:
            self._before = self.current
        else:
            self.current.classifier.close()
        self.current, self._left = new, self._trial_batches

    def ask(self, texts: Sequence[str]) -> Asked:
        """What is said of one batch's texts. Raises `ModelSickError` where the current one fails and none is behind."""
        current, before = self.current, self._before
        if before is None:
            return _ask(current, texts)
        try:
            asked = _ask(current, texts)
            failed = _failed(asked)
            reason = "; ".join(sorted(set(failed.values())))
        except ModelSickError as error:
            asked, failed, reason = None, {}, error.message
        if asked is not None and not reason:
            self._went_well(asked)
            return asked
        try:
            again = _ask(before, texts)
        except ModelSickError:
            if asked is None:
                raise
            self._went_well(asked)  # the old one cannot read anything, so it is nothing to go back to
            return asked
        if asked is not None and failed.keys() <= _failed(again).keys():  # the documents are to blame
            self._went_well(asked)
            return asked
        current.classifier.close()
        self.current, self._before = before, None
        self.verdict = Verdict(current, reason, self._key)
        return again

    def close(self) -> None:
        """Closes what is held."""
        for loaded in (self.current, self._before):
            if loaded is not None:
                loaded.classifier.close()

    def _went_well(self, asked: Asked) -> None:
        self._left -= any(not isinstance(said, Rejection) for said in asked.said)
        if self._left <= 0:
            assert self._before is not None
            self._before.classifier.close()
            self._before = None
            self.verdict = Verdict(self.current, "", self._key)


class LiveModel:
    """The slots, and which document goes to which. Not thread-safe: one thread calls it."""

    def __init__(
        self,
        first: Loaded,
        languages: Mapping[str, Loaded] | None = None,
        *,
        default_language: str = "en",
        trial_batches: int = TRIAL_BATCHES,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """`languages`: those with a bundle of their own. `default_language`: what `first` is made for."""
        given = {DEFAULT: first, **(languages or {})}
        self.slots = {key: Slot(loaded, key=key, trial_batches=trial_batches) for key, loaded in given.items()}
        """By key of the bundle, see `model.routing`; they are the same as long as this lives."""
        self._router = Router(default_language, languages or ())
        self._clock = clock

    @property
    def default(self) -> Slot:
        """The one for all that has none of its own."""
        return self.slots[DEFAULT]

    def score(self, scorer: Scorer, received: Sequence[Received], now: datetime) -> Batch:
        """Scores one batch. Raises `ModelSickError` where a slot's classifier fails and none is behind it."""
        parts: dict[str, Part] = {}

        def ask(key: str, texts: list[str]) -> Asked:
            began = self._clock()
            asked = self.slots[key].ask(texts)
            parts[key] = Part(asked.model, self._clock() - began)
            return asked

        def answer(documents: Sequence[Document]) -> list[Outcome]:
            return ask_by_language(self._router, documents, ask)

        return Batch(scorer.score(received, now, answer), parts, self._take_verdicts())

    def close(self) -> None:
        """Closes what is held."""
        for slot in self.slots.values():
            slot.close()

    def _take_verdicts(self) -> list[Verdict]:
        """Also those of a batch that another slot failed: it is scored again, and they would be told to nobody."""
        found = [slot.verdict for slot in self.slots.values() if slot.verdict is not None]
        for slot in self.slots.values():
            slot.verdict = None
        return found


def _ask(loaded: Loaded, texts: Sequence[str]) -> Asked:
    return Asked(classify_each(loaded.classifier.classify, texts), loaded.classifier.version)


def _failed(asked: Asked) -> dict[int, str]:
    """What the classifier could not do, by place."""
    return {
        place: f"{said.error}: {said.message}" for place, said in enumerate(asked.said) if isinstance(said, Rejection)
    }
