"""The frame of the two hot loops: a service of the Faust app that recovers, or ends the worker with the cause.

A round opens its own Kafka clients and works until something fails; all it knew is then thrown away and read back
from the log, which is the only way in which a loop ever recovers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, RebalanceInProgressError, UnknownMemberIdError
from mode import Service

from stream import metrics
from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.closing import end_task
from stream.errors import (
    BrokerError,
    FinSentryError,
    LogLostError,
    ModelHangsError,
    ModelSickError,
    PoisonedInputError,
    SchemaError,
    StuckMemberError,
)
from stream.settings import StreamSettings
from stream.standstill import Standstill
from stream.topics import Topics

logger = logging.getLogger(__name__)

BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""A broker that restarts is back within seconds; longer waits would only delay the take-up."""

LAG_SECONDS = 2.0

SPARE_SECONDS = 60.0
"""For what else a loop does between two fetches: the client must not think it dead before its own limits do."""

POSITION_SECONDS = 1.0
"""A consumer that knows where it is says so at once."""

TURN_SECONDS = 120.0
"""Far longer than a broker takes to answer a fetch for a partition while it answers those for others."""

WELL_SECONDS = 300.0
"""A round that lived so long was well, whether or not there was anything to do."""

FETCH_MAX_WAIT_MS = 100
"""How long the broker holds an empty fetch: the floor of the latency of a quiet partition after a rebalance."""


HOPELESS = (ModelHangsError, ModelSickError, PoisonedInputError, SchemaError, StuckMemberError)
"""Errors that trying again does not mend: a person must look."""


LOST = (CommitFailedError, IllegalStateError, RebalanceInProgressError, UnknownMemberIdError)
"""What a commit raises where the partitions are another worker's by now: it will read from the last commit."""


@dataclass(slots=True)
class Outcome:
    """Why the worker ended, for whoever runs it."""

    cause: FinSentryError | None = None
    """None while it runs and after a clean stop."""
    on_failure: Callable[[], None] = field(default=lambda: None)


class Restarts:
    """Counts failures in a row; a loop that makes progress begins anew. Pure."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.failures = 0

    def progress(self) -> None:
        """Something was acknowledged: earlier failures are forgiven."""
        self.failures = 0

    def failed(self) -> float | None:
        """Seconds to wait before the next try; None where there were too many."""
        self.failures += 1
        if self.failures > self._limit:
            return None
        return BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS)) - 1]


class HotLoop(Service):
    """Runs `round` again and again until the service stops; a subclass says what a round is."""

    stage: str

    def __init__(self, broker: BrokerSettings, topics: Topics, settings: StreamSettings, outcome: Outcome) -> None:
        super().__init__()
        self.broker = broker
        self.topics = topics
        self.settings = settings
        self._expired: dict[TopicPartition, int] = {}
        """Up to where it was said, by partition: a round that begins anew before it commits meets the same again."""
        self.ready = asyncio.Event()
        """Set once partitions are assigned and restored."""
        self._outcome = outcome
        self._restarts = Restarts(settings.restarts)

    async def round(self) -> None:
        """Opens clients and works until it is cancelled; raises what it cannot mend itself."""
        raise NotImplementedError

    def alive(self) -> None:
        """A subclass calls this each time it goes round its loop."""
        metrics.HEARTBEAT.labels(self.stage).set_to_current_time()

    def assigned(self, places: Iterable[TopicPartition]) -> None:
        """A subclass calls this when the group has given it its partitions, which may be none."""
        logger.info("assigned stage=%s partitions=%s", self.stage, sorted(place.partition for place in places))
        metrics.REBALANCES.labels(self.stage).inc()

    def commit_refused(self, error: Exception) -> None:
        """A subclass calls this when a commit raised one of `LOST`: no fault of its own, and nothing is lost by it."""
        logger.info("commit refused stage=%s error=%s", self.stage, type(error).__name__)
        metrics.COMMITS_REFUSED.labels(self.stage).inc()

    def progress(self) -> None:
        """A subclass calls this after outputs were acknowledged: earlier failures are forgiven."""
        self._restarts.progress()
        self.alive()

    def expired(self, place: TopicPartition, begin: int, oldest: int) -> None:
        """Says that the records of [begin, oldest) were deleted before the stage came to them, once a worker."""
        begin = max(begin, self._expired.get(place, begin))
        if begin < oldest:
            self._expired[place] = oldest
            logger.error(
                "documents expired before they were read stage=%s partition=%d from=%d to=%d",
                self.stage,
                place.partition,
                begin,
                oldest,
            )
            metrics.EXPIRED.labels(self.stage).inc(oldest - begin)

    async def watch_lag(
        self, consumer: AIOKafkaConsumer, done: Mapping[TopicPartition, int], *, waits: Callable[[], bool]
    ) -> None:
        """Measures now and then how many records of each partition are not `done`, until it is cancelled.

        It asks the broker for the ends: what the consumer knows of them is old when fetching pauses. Raises
        `BrokerError` where records stand there and none comes for `STALLED_SECONDS`, though the loop `waits` for some:
        a consumer was seen to fetch nothing more after its broker was killed twice, and fresh clients go on. A single
        partition of which nothing is fetched may stand for `TURN_SECONDS` while others go on. One whose fetched records
        wait in the client is exempt: with many partitions and a slow model its turn may take minutes to come.
        """
        measured: set[TopicPartition] = set()
        before: dict[TopicPartition, int] = {}
        standstill = Standstill()
        passed_over: dict[TopicPartition, float] = {}
        """For how many seconds others have moved, and nothing of this one was fetched."""
        try:
            while True:
                places = set(consumer.assignment())
                for gone in measured - places:
                    self.forget_lag(gone)
                measured = places
                ends = await consumer.end_offsets(list(places))
                for place, end in ends.items():
                    if place in done:
                        metrics.LAG.labels(self.stage, str(place.partition)).set(end - done[place])
                held = {place: done[place] for place in ends if place in done}
                moving = {place for place, position in held.items() if position != before.get(place)}
                standing = [place for place in held if place not in moving]
                lags = await asyncio.gather(*(_behind(consumer, place, ends[place]) for place in standing))
                behind = [place for place, lag in zip(standing, lags, strict=True) if lag]
                stands_for = standstill.look(held, behind=bool(behind) and waits(), now=monotonic())
                passed_over = {
                    place: passed_over.get(place, 0.0) + LAG_SECONDS * bool(moving)
                    for place in behind
                    if not _holds(consumer, place)
                }
                if stands_for > STALLED_SECONDS:
                    raise silent(self.broker)
                for place, seconds in passed_over.items():
                    if seconds > TURN_SECONDS:
                        raise BrokerError(
                            f"{place.topic}, partition {place.partition}: nothing was fetched of it for"
                            f" {seconds:.0f} s, though records stand there and others were fetched",
                            fix="fresh clients are tried; see the broker's log",
                        )
                before = held
                await asyncio.sleep(LAG_SECONDS)
        finally:
            for place in measured:
                self.forget_lag(place)

    def forget_lag(self, place: TopicPartition) -> None:
        """A partition that is another worker's now has no lag here."""
        with suppress(KeyError):
            metrics.LAG.remove(self.stage, str(place.partition))

    @Service.task
    async def _run(self) -> None:
        self.alive()  # one that never comes to its loop must be missed too
        for counter in (metrics.REBALANCES, metrics.COMMITS_REFUSED):
            counter.labels(self.stage)  # at 0: Prometheus sees no increase in a series whose first value it meets
        while not self.should_stop:
            began = monotonic()
            try:
                await self._until_stopped(self.round)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                cause = _first(error)
                metrics.STAGE_ERRORS.labels(self.stage, type(cause).__name__).inc()
                if monotonic() - began >= WELL_SECONDS:
                    self._restarts.progress()  # a quiet stream acknowledges nothing for hours, and is well
                wait = None if isinstance(cause, HOPELESS) else self._restarts.failed()
                if wait is None:
                    self._give_up(cause)
                    return
                logger.warning(
                    "stage failed, starting it again stage=%s in=%.1fs error=%s: %s",
                    self.stage,
                    wait,
                    type(cause).__name__,
                    cause,
                )
                await self.sleep(wait)

    async def _until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(work())
        stopped = asyncio.ensure_future(self.wait_until_stopped())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await end_task(task)
        if not task.cancelled():
            task.result()
        elif not self.should_stop:
            # aiokafka 0.14 lets cancellations of its own tasks out: one is a failure like any other.
            raise RuntimeError("a round ended by a cancellation from within")

    def _give_up(self, cause: BaseException) -> None:
        if isinstance(cause, FinSentryError):
            self._outcome.cause = cause
        else:
            self._outcome.cause = FinSentryError(
                f"{self.stage} failed {self._restarts.failures} times in a row: {type(cause).__name__}: {cause}",
                fix="see the worker's log for what came before; `finsentry doctor` looks at the broker and the bundle",
            )
        logger.error("stage gives up stage=%s cause=%s", self.stage, self._outcome.cause)
        self._outcome.on_failure()

    def open_consumer(self, group: str, *, longest_work: float) -> AIOKafkaConsumer:
        """A consumer of the stage's group that never commits by itself and begins at the oldest record.

        `longest_work`: for how many seconds a healthy loop may ask for nothing. Beyond that the group takes its
        partitions away, and what it was at would be dropped and begun anew, again and again.
        """
        session_ms = int(self.settings.session_timeout_seconds * 1000)
        return AIOKafkaConsumer(
            **self.broker.client_options(),
            client_id=f"finsentry-{self.stage}",
            group_id=self.topics.group(group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 3,
            # A slow model must not cost the partitions: heartbeats say that the worker lives.
            max_poll_interval_ms=int(1000 * (longest_work + SPARE_SECONDS)),
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
        )


async def side_by_side(*loops: Coroutine[None, None, None]) -> None:
    """Runs loops that never end until one fails or this is cancelled; raises what ended the first.

    A bare group would not notice a loop that ended by a cancellation from within: aiokafka 0.14 lets those of its own
    tasks out.
    """
    async with asyncio.TaskGroup() as tasks:
        for loop in loops:
            tasks.create_task(_endless(loop))


async def _endless(loop: Coroutine[None, None, None]) -> None:
    try:
        await loop
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    raise RuntimeError(f"a loop ended: {loop!r}")


def require_end(place: TopicPartition, end: int, position: int, reader: str) -> None:
    """Raises `LogLostError` where a partition ends before the `position` that its reader has come to.

    It is tried again like any error, since a leader that was put out may not know of it yet. A consumer would begin
    anew at the oldest record without a word, and what is appended from now on would be taken for what was read before.
    """
    if position > end:
        raise log_lost(place, f"ends at offset {end}", position, reader)


def log_lost(place: TopicPartition, found: str, position: int, reader: str) -> LogLostError:
    """The error for a partition that does not reach to where its reader was, saying what was `found` in place."""
    return LogLostError(
        f"{place.topic}, partition {place.partition} {found}, but {reader} has come to {position}",
        fix="the broker lost its end, or the topic was made anew. Restore it, or begin anew with all topics and"
        " groups under a new topics.prefix; `finsentry archive` keeps scored documents",
    )


def _holds(consumer: AIOKafkaConsumer, place: TopicPartition) -> bool:
    """Whether records of the partition were fetched and wait in the client for their turn."""
    return consumer._fetcher is not None and place in consumer._fetcher._records


async def _behind(consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> bool:
    """Whether the consumer is to read more of the partition, or does not know where to begin."""
    try:
        async with asyncio.timeout(POSITION_SECONDS):
            return bool(await consumer.position(place) < end)
    except TimeoutError:
        return True
    except IllegalStateError:  # it is another worker's by now
        return False


def _first(error: BaseException) -> BaseException:
    """The first error of a group that is not a cancellation."""
    while isinstance(error, BaseExceptionGroup):
        rest = [inner for inner in error.exceptions if not isinstance(inner, asyncio.CancelledError)]
        error = rest[0] if rest else error.exceptions[0]
    return error
