"""The alert service: reads `windows`, judges every moment that the watermark passes, and tells `alerts`.

It keeps nothing of its own but a mark of how far it had come: after a restart, or any trouble with the broker, it reads
both topics from their start and judges again, in silence up to the mark.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NoReturn

import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from alerts.gauges import Gauges, begin_counting
from alerts.judge import Judge
from alerts.mark import JudgedMark
from alerts.settings import AlertSettings
from alerts.windows_state import WindowsState
from stream import metrics
from stream.broker import BrokerSettings, ensure_topics
from stream.closing import stop_producer
from stream.following import Follower, keep_following
from stream.records import Alert, encode
from stream.roles import RoleServer
from stream.settings import StreamSettings
from stream.topics import Topics
from stream.windows import WindowTable, moment_of
from stream.writing import Entry, append, open_producer

logger = logging.getLogger(__name__)

STAGE = "alerts"

MARK_SECONDS = 1.0

SLICE = timedelta(hours=6)
"""Event time that is judged at once: a second at most, where twenty busy topics have a past of a week."""

SHOW_SECONDS = 0.5
"""A replay passes hundreds of moments a second: what is shown of them need not be fresher than this."""


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def run_alerts(
    broker: BrokerSettings, topics: Topics, settings: AlertSettings, stream: StreamSettings, server: RoleServer
) -> None:
    """Judges until SIGINT or SIGTERM; starts and stops `server`.

    Raises `BrokerError` where Kafka cannot be reached at the start; later it waits for it.
    """
    ensure_topics(broker, (topics.documents, topics.windows, topics.alerts))
    server.start()
    try:
        uvloop.run(_until_signal(AlertService(broker, topics, settings, stream, ready=server.ready)))
    finally:
        server.stop()


async def _until_signal(service: "AlertService") -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await service.run(stop)


class AlertService:
    """Runs rounds until it is told to stop; whatever fails in one is logged, counted and tried again."""

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        settings: AlertSettings,
        stream: StreamSettings,
        *,
        ready: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.broker = broker
        self.topics = topics
        self.settings = settings
        self.stream = stream
        self.ready = ready
        self.now = now
        self.gauges = Gauges()
        self.mark = JudgedMark(topics)
        begin_counting()

    async def run(self, stop: asyncio.Event) -> None:
        """Judges until `stop` is set."""
        # A role that never comes into its loop is stuck too. Not in every round: those that fail are no progress.
        metrics.HEARTBEAT.labels(STAGE).set_to_current_time()
        judging = asyncio.ensure_future(keep_following(STAGE, lambda: _Round(self).run()))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({judging, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        judging.cancel()
        await asyncio.wait({judging})
        if not judging.cancelled():
            judging.result()


def slices(table: WindowTable, start: datetime, end: datetime, size: timedelta = SLICE) -> Iterator[datetime]:
    """Moments from `start` to `end`, `size` apart, or as far as the next bucket is; the last is `end`.

    A document that says it is of 1970 must not cost a slice for every six hours since.
    """
    while end - start > size:
        start = max(start + size, table.next_moment(start) or end)
        if start < end:
            yield start
    yield end


class _Round:
    """One life of the Kafka clients and of all that was read through them."""

    def __init__(self, service: AlertService) -> None:
        self._service = service
        self._judge = Judge(service.settings, lateness_minutes=service.stream.lateness_minutes)
        self._marked_at = self._shown_at = monotonic()
        self._is_new = False
        self._spoke_at: float | None = None
        self._marked: datetime | None = None
        self._shown: datetime | None = None

    async def run(self) -> NoReturn:
        """Reads, judges and tells until something fails or it is cancelled."""
        service = self._service
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(
                Follower(service.broker, service.topics, role=STAGE, group=service.mark.group)
            )
            producer = open_producer(service.broker, client_id="finsentry-alerts")
            stack.push_async_callback(stop_producer, producer)
            await producer.start()
            marked = await self._read_mark()
            state = await self._load(log, marked)
            self._judge.resume(state.alerts.values(), marked)
            self._is_new = marked is None and service.stream.follow_clock
            logger.info("loaded stage=%s alerts=%d judged=%s", STAGE, len(state.alerts), marked)
            self._show(state)  # judging the past again may take minutes, and what stood stands meanwhile
            self._marked = marked
            while True:
                await self._advance(log, producer, state)
                service.ready()
                for record in await log.read():
                    state.put(*record)
                state.observe_ends(log.document_ends)

    async def _read_mark(self) -> datetime | None:
        service = self._service
        admin = AIOKafkaAdminClient(**service.broker.client_options(), client_id="finsentry-alerts-admin")
        try:
            await admin.start()
            return await service.mark.read(admin)
        finally:
            await admin.close()

    async def _load(self, log: Follower, marked: datetime | None) -> WindowsState:
        """Everything that stands in the topics when it is called."""
        service = self._service
        longest = timedelta(minutes=max(window.minutes for window in service.settings.windows.values()))
        state = WindowsState(
            service.topics.windows.partitions,
            service.stream,
            longest=longest,
            headlines=service.settings.evidence,
            judged=marked,
        )
        async for _share, records in log.load():
            for record in records:
                state.put(*record)
            metrics.HEARTBEAT.labels(STAGE).set_to_current_time()  # a long past may take minutes
        state.loaded()
        state.observe_ends(log.document_ends)
        return state

    async def _advance(self, log: Follower, producer: AIOKafkaProducer, state: WindowsState) -> None:
        watermark = self._due(state.watermark(self._service.now()))
        span = state.table.span()
        if watermark is not None and span is not None:
            for moment in slices(state.table, self._judge.judged or moment_of(span[0]), watermark):
                await self._judge_until(moment, producer, state)
                await self._mark(log)
        self._show(state)
        metrics.HEARTBEAT.labels(STAGE).set_to_current_time()

    async def _judge_until(self, moment: datetime, producer: AIOKafkaProducer, state: WindowsState) -> None:
        judge = self._judge
        before = judge.evaluations
        told = judge.advance(state.table, moment, state.closed)
        metrics.EVALUATIONS.inc(judge.evaluations - before)
        await self._tell(producer, state, told)
        state.table.drop_before(judge.horizon)
        if judge.judged is not None:
            state.note_judged(judge.judged)
        metrics.HEARTBEAT.labels(STAGE).set_to_current_time()
        await asyncio.sleep(0)  # a signal, or the end of the round, comes between two slices of a long past

    async def _mark(self, log: Follower) -> None:
        """Commits how far all is told, now and then and never back: a restart judges the past again."""
        judged = self._judge.judged
        if judged is None or (self._marked is not None and judged <= self._marked):
            return
        if monotonic() - self._marked_at >= MARK_SECONDS:
            await self._service.mark.write(log.consumer, judged)
            self._marked, self._marked_at = judged, monotonic()

    def _due(self, watermark: datetime | None) -> datetime | None:
        """The watermark to judge up to; None where there is none, or the past of a new stream is still coming in.

        A feed lists its newest entries first, and what it listed of the last hours must be a topic's past and not be
        passed over by a judge that has begun in the present.
        """
        if watermark is None or not self._is_new:
            return watermark
        if self._spoke_at is None:
            self._spoke_at = monotonic()
        self._is_new = monotonic() - self._spoke_at < self._service.settings.warm_up_seconds
        return None if self._is_new else watermark

    async def _tell(self, producer: AIOKafkaProducer, state: WindowsState, told: list[Alert]) -> None:
        """Writes what is new, and returns when it is acknowledged. It counts only then: a new round tells it again.

        One whose acknowledgement alone was lost is known to the new round, and not counted.
        """
        news, begun = [], []
        for alert in told:
            known = state.alerts.get(alert.id)
            if known is None:
                begun.append(alert)
            if alert != known:
                news.append(alert)
                state.alerts[alert.id] = alert
        entries = [Entry(alert.id.encode(), encode(alert)) for alert in news]
        if entries:
            await append(producer, self._service.topics.alerts.name, 0, entries)
        for alert in begun:
            metrics.ALERTS_STARTED.labels(alert.topic, alert.judge, alert.severity).inc()
        for alert in news:
            logger.info(
                "alert id=%s state=%s severity=%s reason=%s", alert.id, alert.state, alert.severity, alert.reason
            )

    def _show(self, state: WindowsState) -> None:
        judge, gauges = self._judge, self._service.gauges
        gauges.show_standing(judge.standing())
        if judge.judged and judge.judged != self._shown and monotonic() - self._shown_at >= SHOW_SECONDS:
            gauges.show_windows(judge.verdicts(state.table))
            metrics.JUDGED.set(judge.judged.timestamp())
            self._shown, self._shown_at = judge.judged, monotonic()
