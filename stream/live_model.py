"""Which classifier scores, and when another takes its place. Pure: no Kafka, no clock, no thread of its own.

A swap is a call between two batches, made in the thread that scores. The new classifier is then on trial for its first
batches: whatever it cannot do and its predecessor can, on the same documents, brings the predecessor back, and that
batch is the predecessor's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from model.classifier import Prediction, TextClassifier
from stream.errors import ModelSickError
from stream.records import BundleRef
from stream.scoring import CLASSIFY, Received, Scored, Scorer

TRIAL_BATCHES = 10
"""Some thousand documents under load: what a model fails on at all, it meets there. Until then two are in memory."""


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


class Batch(NamedTuple):
    """A scored batch: every document in it by one classifier."""

    scored: list[Scored]
    model: str
    verdict: Verdict | None


class LiveModel:
    """Holds the classifier that scores and, during a trial, the one before it. Not thread-safe: one thread calls it.

    It is a `TextClassifier` itself, the one that scores now: who holds on to it keeps no old one in memory.
    """

    def __init__(self, first: Loaded, *, trial_batches: int = TRIAL_BATCHES) -> None:
        self.current = first
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

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        """What the current classifier says."""
        return self.current.classifier.classify(texts)

    def swap(self, new: Loaded) -> None:
        """From the next batch on `new` scores, on trial. What is no longer needed is closed.

        Of two swaps in a row the first predecessor stays behind: the one between was never proven.
        """
        if self._before is None:
            self._before = self.current
        else:
            close(self.current.classifier)
        self.current, self._left = new, self._trial_batches

    def score(self, scorer: Scorer, received: Sequence[Received], now: datetime) -> Batch:
        """Scores one batch. Raises `ModelSickError` where the current classifier fails and none is behind it."""
        current, before = self.current, self._before
        if before is None:
            return Batch(scorer.score(received, now, by=current.classifier), current.classifier.version, None)
        try:
            scored = scorer.score(received, now, by=current.classifier)
            failed = _failed(scored)
            reason = "; ".join(sorted(set(failed.values())))
        except ModelSickError as error:
            scored, failed, reason = [], {}, error.message
        if not reason:
            return Batch(scored, current.classifier.version, self._went_well(scored))
        again = scorer.score(received, now, by=before.classifier)
        if scored and failed.keys() <= _failed(again).keys():  # the documents are to blame
            return Batch(scored, current.classifier.version, self._went_well(scored))
        self._take_back(before)
        return Batch(again, before.classifier.version, Verdict(current, reason))

    def close(self) -> None:
        """Closes what is held."""
        for loaded in (self.current, self._before):
            if loaded is not None:
                close(loaded.classifier)

    def _went_well(self, scored: list[Scored]) -> Verdict | None:
        self._left -= any(item.dead_letter is None for item in scored)
        if self._left > 0:
            return None
        assert self._before is not None
        close(self._before.classifier)
        self._before = None
        return Verdict(self.current, "")

    def _take_back(self, before: Loaded) -> None:
        close(self.current.classifier)
        self.current, self._before = before, None


def close(classifier: TextClassifier) -> None:
    """Ends the classifier's threads, where it has any."""
    end = getattr(classifier, "close", None)
    if end is not None:
        end()


def _failed(scored: list[Scored]) -> dict[int, str]:
    """What the classifier could not do, by place in the batch."""
    return {
        place: f"{item.dead_letter.error}: {item.dead_letter.message}"
        for place, item in enumerate(scored)
        if item.dead_letter is not None and item.dead_letter.stage == CLASSIFY
    }
