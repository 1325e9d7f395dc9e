"""The classifier of a worker, asked in a thread of its own; what is sick is waited for, and what hangs given up."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar

from stream import metrics
from stream.errors import ModelHangsError, ModelSickError
from stream.live_model import Batch, LiveModel, Verdict
from stream.scoring import Received, Scorer
from stream.settings import StreamSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")

STAGE = "scoring"
"""Whose time it is: a thread that waits for its model holds up this stage."""

RETRY_SECONDS = 1.0

HANGS_SECONDS = 600.0
HANGS_SECONDS_A_DOCUMENT = 2.0
"""A batch that takes longer than either will never be answered."""

SICK = (
    "no document is to blame and none was lost: mend the bundle or its accelerator (`finsentry doctor` looks), or put"
    " back the bundle before it (`finsentry promote --rollback`), and start the worker again"
)

DRIFT_SECONDS = 15.0


def answer_seconds(documents: int) -> float:
    """How long a classifier may take for so many at once."""
    return max(HANGS_SECONDS, HANGS_SECONDS_A_DOCUMENT * documents)


class Classifying:
    """One batch after the other, so that a classifier may be changed between two."""

    def __init__(
        self, live: LiveModel, settings: StreamSettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.live = live
        """Which classifier scores; changed only `between_batches`."""
        self.watch: Callable[[list[Received], Batch], None] = lambda _received, _batch: None
        """Told of every batch that was scored and waited for, whatever becomes of it."""
        self.judged: Callable[[Verdict], None] = lambda _verdict: None
        """Told how each trial ended, also where nobody waits any more for the batch that ended it."""
        self._patience_seconds = settings.model_patience_seconds
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._busy_until = 0.0
        """By when the thread must be done with what it was given, though nobody may wait for it any more."""

    async def score(self, scorer: Scorer, received: list[Received]) -> Batch:
        """Scores in the thread; waits out a sick model. Raises `ModelSickError` once patience is over.

        Raises `ModelHangsError` where the classifier does not answer at all.
        """
        loop = asyncio.get_running_loop()
        began = monotonic()
        while True:
            now = monotonic()
            self._busy_until = max(now, self._busy_until) + answer_seconds(len(received))
            try:
                async with asyncio.timeout(seconds := self._busy_until - now):
                    batch = await loop.run_in_executor(self._thread, self._score, loop, scorer, received)
            except TimeoutError:
                raise ModelHangsError(
                    f"the classifier has not answered for {seconds:.0f} seconds",
                    fix="the worker ends, as nothing else frees its thread: start it again; see the accelerator's log",
                ) from None
            except ModelSickError as error:
                self._busy_until = 0.0
                metrics.STAGE_ERRORS.labels(STAGE, type(error).__name__).inc()
                if monotonic() - began >= self._patience_seconds:
                    raise ModelSickError(error.message, fix=SICK) from error
                logger.warning("waiting for the classifier stage=%s error=%s", STAGE, error.message)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._busy_until = 0.0
                for part in batch.parts.values():
                    metrics.SCORING_SECONDS.labels(part.model).observe(part.seconds)
                metrics.BATCH_DOCUMENTS.observe(len(received))
                self.watch(received, batch)
                return batch

    def _score(self, loop: asyncio.AbstractEventLoop, scorer: Scorer, received: list[Received]) -> Batch:
        batch = self.live.score(scorer, received, self._now())
        for verdict in batch.verdicts:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(self.judged, verdict)
        return batch

    def longest_seconds(self, documents: int) -> float:
        """How long `score` may take for so many documents before it raises."""
        return self._patience_seconds + answer_seconds(documents)

    async def between_batches(self, work: Callable[[], T]) -> T:
        """Does `work` in the thread that scores, hence while no batch is being scored."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def watch_drift(self) -> None:
        """Shows now and then how far each bundle's texts are from what it was made for, until it is cancelled."""
        while True:
            metrics.INPUT_DRIFT.clear()  # what another bundle was far from says nothing of this one
            for key, slot in self.live.slots.items():
                for feature, distance in slot.current.classifier.drift().items():
                    metrics.INPUT_DRIFT.labels(feature, key).set(distance)
            await asyncio.sleep(DRIFT_SECONDS)

    def end(self) -> None:
        """The thread ends with the batch it has, and nobody here waits for that."""
        self._thread.shutdown(wait=False)
