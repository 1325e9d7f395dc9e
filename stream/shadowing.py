"""The bundle that a worker runs in the shadow of the live one: loaded, fed with what was scored, ended and told of."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import msgspec

from stream import metrics
from stream.control import in_one_line, named, progress
from stream.live_model import Batch, Loaded
from stream.records import BundleRef, Progress, ProgressState, Promotion
from stream.scoring import Received
from stream.shadow import Shadow

logger = logging.getLogger(__name__)

Open = Callable[[BundleRef | None, str], Awaitable[Loaded]]


class Shadowing:
    """One shadow at a time, which compares in a thread of its own: what comes while it is busy is passed over."""

    def __init__(
        self,
        open_bundle: Open,
        languages: Container[str],
        *,
        max_text_bytes: int,
        now: Callable[[], datetime],
    ) -> None:
        self._open = open_bundle
        self._languages = languages
        """Those that have a bundle to compare with."""
        self._max_text_bytes = max_text_bytes
        self._now = now
        self._shadow: Shadow | None = None
        self._told: Progress | None = None
        self._comparing: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")

    @property
    def progress(self) -> Progress | None:
        """What became of the last shadow that was asked for, and how far it differs up to now."""
        if self._told is not None and self._shadow is not None:
            return msgspec.structs.replace(self._told, disagreement=self._shadow.disagreement)
        return self._told

    def observe(self, received: list[Received], batch: Batch) -> None:
        """Compares a batch that was scored, unless it is still at an earlier one."""
        shadow = self._shadow
        if shadow is None or not (documents := shadow.concerns(batch)):
            return
        if self._comparing is not None:
            shadow.skipped += documents
            return
        before = shadow.disagreement.documents  # read now: the thread may be done with it at once
        loop = asyncio.get_running_loop()
        self._comparing = loop.run_in_executor(self._thread, shadow.compare, received, batch, self._now())
        self._comparing.add_done_callback(partial(self._compared, shadow, before))

    async def bring(self, wanted: Promotion | None) -> None:
        """Runs the bundle that is asked for, until its time is over; ends what is asked for no longer."""
        if wanted is None or (wanted.until is not None and wanted.until <= self._now()):
            self._end("shadowed")
            return
        if self._told is not None and self._told.promotion == wanted.id:
            return
        self._end("shadowed")
        if wanted.language not in self._languages:
            reason = f"this worker has no bundle for {wanted.language} to compare with"
            self._told = progress(wanted, "refused", reason)
            return
        self._told = progress(wanted, "loading")
        try:
            loaded = await self._open(wanted.bundle, wanted.language)
        except Exception as error:
            self._told = progress(wanted, "refused", in_one_line(error))
            logger.error("shadow refused version=%s reason=%s", named(wanted), self._told.reason)
            return
        self._shadow = Shadow(loaded, max_text_bytes=self._max_text_bytes, slot=wanted.language)
        self._told = progress(wanted, "shadowing")
        logger.info("shadow begins version=%s", named(wanted))

    def stop(self) -> None:
        """The thread ends with the batch it has, and its bundle after it."""
        shadow, self._shadow = self._shadow, None
        if shadow is not None:
            self._thread.submit(shadow.loaded.classifier.close)
        self._thread.shutdown(wait=False)

    def _compared(self, shadow: Shadow, before: int, done: "asyncio.Future[None]") -> None:
        self._comparing = None
        if done.cancelled() or shadow is not self._shadow:
            return
        error = done.exception()
        if error is not None:
            self._end("refused", in_one_line(error))
            return
        found = shadow.disagreement
        metrics.SHADOW_DOCUMENTS.inc(max(0, found.documents - before))
        if found.documents:
            metrics.SHADOW_DISAGREEMENT.labels("topic").set(found.topics / found.documents)
            metrics.SHADOW_DISAGREEMENT.labels("sentiment").set(found.sentiments / found.documents)
            metrics.SHADOW_NEGATIVE_DIFFERENCE.labels(shadow.loaded.classifier.version).set(
                found.negative / found.documents
            )

    def _end(self, state: ProgressState, reason: str = "") -> None:
        shadow, self._shadow = self._shadow, None
        if shadow is None or self._told is None:
            return
        # Behind what it is still comparing.
        self._thread.submit(shadow.loaded.classifier.close)
        metrics.SHADOW_DISAGREEMENT.clear()
        metrics.SHADOW_NEGATIVE_DIFFERENCE.clear()
        self._told = msgspec.structs.replace(self._told, state=state, reason=reason, disagreement=shadow.disagreement)
        logger.info("shadow ends version=%s state=%s reason=%s", self._told.version, state, reason)
