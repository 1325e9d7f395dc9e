"""The worker's ear for `control`: brings the bundle that is asked for into the scoring loop, and reports.

Reading goes on while a bundle loads in a thread; a bundle that fails on the way costs a report and nothing else.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import NoReturn

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from model.classifier import TextClassifier
from model.routing import DEFAULT
from stream import metrics
from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.canary import check_canary
from stream.classifying import Classifying
from stream.closing import stop_consumer, stop_producer
from stream.control import (
    FORGET_SECONDS,
    HEARTBEAT_SECONDS,
    ControlTable,
    candidates,
    in_one_line,
    progress,
    worker_key,
)
from stream.errors import BrokerError, SchemaError
from stream.following import keep_following
from stream.hot_loop import side_by_side
from stream.live_model import Batch, Loaded, Slot, Verdict
from stream.loading import Load
from stream.records import BundleRef, Progress, ProgressState, Promotion, WorkerReport, encode
from stream.scoring import Received
from stream.shadowing import Shadowing
from stream.standstill import Standstill
from stream.topics import Topics
from stream.writing import open_producer

logger = logging.getLogger(__name__)

STAGE = "control"

POLL_MS = 200
TELL_SECONDS = 0.5
"""A shadow's numbers change with every batch: no need to write each of them down."""

LOOK_SECONDS = 0.5
"""How late a shadow may end."""

GOODBYE_SECONDS = 2.0
"""A worker that stops takes its report out of the topic, but not at the price of hanging."""

OUTCOMES = ("live", "settled", "refused", "rolled_back")


class ControlService(Service):
    """Follows `control` until the worker stops. No trouble of its own ends the worker or holds up scoring."""

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        classifying: Classifying,
        load: Load[TextClassifier],
        *,
        max_text_bytes: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self.caught_up = asyncio.Event()
        """Set once what `control` asked for at the start scores, or was refused."""
        self._broker = broker
        self._topic = topics.control
        self._classifying = classifying
        self._model = classifying.live
        self._load = load
        self._now = now
        self._table = ControlTable()
        self._work: asyncio.Future[None] | None = None
        self._read = asyncio.Event()
        self._changed = asyncio.Event()
        self._standings = {key: _Standing() for key in self._model.slots}
        # Not the loop's own threads, for whose end whoever runs the loop waits: one that loads may hang.
        self._loading_thread = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._shadowing = Shadowing(self._open, self._model.slots, max_text_bytes=max_text_bytes, now=now)
        self._told: WorkerReport | None = None
        self._told_at = 0.0
        self._shown: dict[str, tuple[str, str]] = {}
        for outcome in OUTCOMES:
            metrics.PROMOTIONS.labels(outcome)
        for key in self._model.slots:
            self._show_model(key)

    # ---- what the scoring loop tells

    def observe(self, received: list[Received], batch: Batch) -> None:
        """The scoring loop calls this after each batch."""
        if not self.should_stop:
            self._shadowing.observe(received, batch)

    def judged(self, verdict: Verdict) -> None:
        """The scoring loop calls this when the trial of a bundle ends."""
        version = verdict.tried.classifier.version
        if not verdict.reason:
            metrics.PROMOTIONS.labels("settled").inc()
            logger.info("bundle stays after its first batches version=%s", version)
        else:
            metrics.PROMOTIONS.labels("rolled_back").inc()
            logger.error("bundle taken back in its first batches version=%s reason=%s", version, verdict.reason)
            standing = self._standings[verdict.slot]
            standing.refused[verdict.tried.bundle] = f"failed in its first batches: {verdict.reason}"
            standing.again = True
            self._show_model(verdict.slot)
        self._changed.set()

    # ---- reading and telling

    async def on_started(self) -> None:
        """Begins to follow."""
        metrics.HEARTBEAT.labels(STAGE).set_to_current_time()
        self._work = asyncio.ensure_future(side_by_side(_for_ever(self._follow), _for_ever(self._act)))

    async def on_stop(self) -> None:
        """Takes the worker's report out of the topic; the shadow's thread ends with the batch it has."""
        if self._work is not None:
            self._work.cancel()
            # A producer that cannot reach its broker would take its time.
            await asyncio.wait({self._work}, timeout=2 * GOODBYE_SECONDS)
        self._shadowing.stop()
        self._loading_thread.shutdown(wait=False)

    async def _follow(self) -> None:
        await keep_following(STAGE, self._round)

    async def _round(self) -> NoReturn:
        place = TopicPartition(self._topic.name, 0)
        consumer = AIOKafkaConsumer(
            **self._broker.client_options(),
            client_id="finsentry-control",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        producer = open_producer(self._broker, client_id="finsentry-control")
        async with AsyncExitStack() as clients:
            clients.push_async_callback(stop_producer, producer)
            await producer.start()
            clients.push_async_callback(stop_consumer, consumer)
            await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            table, standstill = ControlTable(), Standstill()
            while (position := await _position(consumer, place)) < end:
                self._require_motion(standstill, place, position, end)
                await self._take(consumer, table)
                metrics.HEARTBEAT.labels(STAGE).set_to_current_time()
            self._table = table
            self._read.set()
            self._changed.set()
            await self._forget_dead(producer)
            clients.push_async_callback(self._say_goodbye, producer)
            while True:
                await self._take(consumer, table)
                position = await _position(consumer, place)
                end = max(end, await self._tell(producer, position))
                self._require_motion(standstill, place, position, end)
                metrics.HEARTBEAT.labels(STAGE).set_to_current_time()

    async def _take(self, consumer: AIOKafkaConsumer, table: ControlTable) -> None:
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                try:
                    table.put(record.key, record.value, record.timestamp)
                except (msgspec.MsgspecError, SchemaError) as error:
                    metrics.STAGE_ERRORS.labels(STAGE, type(error).__name__).inc()
                    logger.warning("record passed over topic=control offset=%d error=%s", record.offset, error)
                self._changed.set()

    def _require_motion(self, standstill: Standstill, place: TopicPartition, position: int, end: int) -> None:
        if standstill.look({place: position}, behind=position < end, now=monotonic()) > STALLED_SECONDS:
            raise silent(self._broker)

    async def _tell(self, producer: AIOKafkaProducer, position: int) -> int:
        """Writes the report where it changed or its time has come; returns the offset behind it, or 0.

        The report is read back like any other record: where it does not come, the consumer stands still.
        """
        since = monotonic() - self._told_at
        report = self._report()
        is_news = self._told is None or report != msgspec.structs.replace(self._told, at=report.at)
        if since < (TELL_SECONDS if is_news else HEARTBEAT_SECONDS):
            return 0
        sent = await producer.send_and_wait(self._topic.name, encode(report), key=worker_key(self.worker), partition=0)
        if sent.offset < position:
            raise BrokerError(f"topic {self._topic.name} was made anew")
        self._told, self._told_at = report, monotonic()
        return int(sent.offset) + 1

    def _report(self) -> WorkerReport:
        return WorkerReport(
            worker=self.worker,
            at=self._now(),
            model=self._model.default.version,
            models={key: slot.version for key, slot in self._model.slots.items() if key},
            live=self._told_of(DEFAULT),
            languages={key: told for key in self._standings if key and (told := self._told_of(key)) is not None},
            shadow=self._shadowing.progress,
        )

    def _told_of(self, key: str) -> Progress | None:
        told, slot = self._standings[key].progress, self._model.slots.get(key)
        if told is not None and told.state == "live" and slot is not None:
            return msgspec.structs.replace(told, on_trial=slot.on_trial)
        return told

    async def _forget_dead(self, producer: AIOKafkaProducer) -> None:
        """Takes out what killed workers left: each start of a worker has a key of its own."""
        recent = self._table.heard_since((self._now().timestamp() - FORGET_SECONDS) * 1000)
        for worker in self._table.workers.keys() - recent:
            await producer.send_and_wait(self._topic.name, None, key=worker_key(worker), partition=0)

    async def _say_goodbye(self, producer: AIOKafkaProducer) -> None:
        if not self.should_stop:
            return
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await producer.send_and_wait(self._topic.name, None, key=worker_key(self.worker), partition=0)

    # ---- acting

    async def _act(self) -> None:
        await self._read.wait()
        while True:
            self._changed.clear()
            # The default one first: a worker that starts scores most with it.
            for key, wanted in sorted(self._table.live.items()):
                await self._bring_live(key, wanted)
            self.caught_up.set()
            await self._shadowing.bring(self._table.shadow)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()

    async def _bring_live(self, key: str, wanted: Promotion) -> None:
        """Runs in this slot the first bundle of those that the promotion names which this worker can run."""
        standing = self._standings.setdefault(key, _Standing())
        if standing.progress is None or standing.progress.promotion != wanted.id:
            standing.refused = {}
        elif not standing.again:
            return
        standing.again = False
        slot = self._model.slots.get(key)
        if slot is None:
            self._refuse_language(standing, wanted, key)
            return
        standing.progress = progress(wanted, "loading")
        for bundle in candidates(wanted):
            if bundle in standing.refused:
                continue
            if bundle == slot.current.bundle or await self._try(bundle, wanted, slot, key):
                break
            if self._is_superseded(wanted, key):
                return
        running = slot.current.bundle == wanted.bundle
        reason = "" if running else standing.refused.get(wanted.bundle, "")
        standing.progress = progress(wanted, "live" if running else "refused", reason)
        self._show_refusals()

    def _refuse_language(self, standing: "_Standing", wanted: Promotion, key: str) -> None:
        """A promotion changes a bundle; which languages have one, and so what is detected, the settings say."""
        reason = f"this worker has no bundle for {key}; start it with one as `model.languages.{key}`"
        state: ProgressState = "refused" if wanted.bundle is not None else "live"  # what has none is asked for
        standing.progress = progress(wanted, state, reason if state == "refused" else "")
        self._show_refusals()

    def _show_refusals(self) -> None:
        refused = [one for one in self._standings.values() if one.progress and one.progress.state == "refused"]
        metrics.PROMOTION_REFUSED.set(bool(refused))

    async def _try(self, bundle: BundleRef | None, wanted: Promotion, slot: Slot, key: str) -> bool:
        """Loads, checks and swaps; False, with the reason kept, where that fails, or where it is wanted no longer."""
        refused = self._standings[key].refused
        try:
            loaded = await self._open(bundle, key)
        except Exception as error:
            refused[bundle] = in_one_line(error)
            metrics.PROMOTIONS.labels("refused").inc()
            logger.error(
                "bundle refused, %s scores on version=%s folder=%s language=%s reason=%s",
                slot.version,
                bundle.version if bundle else "",
                bundle.folder if bundle else "",
                key,
                refused[bundle],
            )
            return False
        if self._is_superseded(wanted, key):
            loaded.classifier.close()
            return False
        before = slot.version
        await self._classifying.between_batches(partial(slot.swap, loaded))
        metrics.PROMOTIONS.labels("live").inc()
        self._show_model(key)
        logger.info("bundle scores now version=%s before=%s language=%s", loaded.classifier.version, before, key)
        return True

    def _is_superseded(self, wanted: Promotion, key: str) -> bool:
        standing = self._table.live.get(key)
        return standing is None or standing.id != wanted.id

    async def _open(self, bundle: BundleRef | None, key: str) -> Loaded:
        return await asyncio.get_running_loop().run_in_executor(self._loading_thread, self._load_and_check, bundle, key)

    def _load_and_check(self, bundle: BundleRef | None, key: str) -> Loaded:
        classifier = self._load(bundle, key)
        try:
            check_canary(classifier)
        except BaseException:
            classifier.close()
            raise
        return Loaded(bundle, classifier)

    def _show_model(self, key: str) -> None:
        classifier = self._model.slots[key].current.classifier
        if key in self._shown:
            with suppress(KeyError):
                metrics.MODEL_INFO.remove(*self._shown[key], key)
        self._shown[key] = (classifier.version, classifier.provider)
        metrics.MODEL_INFO.labels(*self._shown[key], key).set(1)


@dataclass(slots=True)
class _Standing:
    """What became of the promotions of one slot."""

    progress: Progress | None = None
    refused: dict[BundleRef | None, str] = field(default_factory=dict)
    """What this worker cannot run, since the promotion in `progress` was first seen."""
    again: bool = False
    """The bundle was taken back: the next of those that it may run is to be tried."""


async def _position(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    """Raises `TimeoutError` where the consumer does not learn where to begin, for which it would wait for ever."""
    async with asyncio.timeout(STALLED_SECONDS):
        return int(await consumer.position(place))


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """A fault in here must not end a worker that scores."""
    while True:
        try:
            await work()
        except Exception as error:
            metrics.STAGE_ERRORS.labels(STAGE, type(error).__name__).inc()
            logger.exception("beginning again stage=%s", STAGE)
            await asyncio.sleep(HEARTBEAT_SECONDS)
