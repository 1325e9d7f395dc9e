"""Reads `windows` and `alerts` from their start and on, into the board. Keeps nothing: a restart reads again."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NoReturn

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from dashboards.console.board import Board
from dashboards.console.settings import ConsoleSettings
from dashboards.console.state import ConsoleState
from stream import metrics
from stream.broker import BrokerSettings, ensure_topics
from stream.closing import stop_consumer
from stream.errors import BrokerError
from stream.records import SCHEMA, Alert, Bucket
from stream.settings import StreamSettings
from stream.topics import Topics
from stream.windows_log import decode_window

logger = logging.getLogger(__name__)

POLL_MS = 200
POLL_RECORDS = 2000
"""Some 20 ms of decoding: pages are served in between."""

PROBE_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 5.0
"""A consumer waits for a lost broker without a word, so the feed asks it something that must be answered."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)

_alert = msgspec.json.Decoder(Alert)


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def empty_state(topics: Topics, settings: ConsoleSettings, stream: StreamSettings) -> ConsoleState:
    """A state that has read nothing."""
    return ConsoleState(
        topics.windows.partitions,
        retained=settings.retained_minutes(),
        idle=timedelta(seconds=stream.idle_seconds),
        follow_clock=stream.follow_clock,
    )


class Feed:
    """Fills a board from Kafka until it is cancelled.

    After any trouble with the broker everything is read anew, so nothing of a log that is gone stays on the page;
    until that is done the board keeps what was known.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        board: Board,
        new_state: Callable[[], ConsoleState],
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._board = board
        self._new_state = new_state
        self._now = now
        self._places = [TopicPartition(t.name, p) for t in (topics.windows, topics.alerts) for p in range(t.partitions)]

    async def run(self) -> NoReturn:
        """Reads for ever; trouble with the broker is shown and tried again."""
        failures = 0
        while True:
            try:
                await self._follow()
            except (KafkaError, BrokerError, OSError, TimeoutError) as error:
                failures = 0 if self._board.connection.state == "live" else failures + 1
                logger.warning("feed interrupted error=%s message=%s", type(error).__name__, error)
                metrics.STAGE_ERRORS.labels("console", type(error).__name__).inc()
                self._board.connect("lost", _said(error))
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])

    async def _follow(self) -> NoReturn:
        consumer = AIOKafkaConsumer(
            **self._broker.client_options(),
            client_id="finsentry-console",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            await asyncio.to_thread(ensure_topics, self._broker, (self._topics.windows, self._topics.alerts))
            consumer.assign(self._places)
            state = self._new_state()
            await self._load(consumer, state)
            self._board.replace(state)
            self._board.connect("live")
            await self._go_on(consumer, state)
        finally:
            await stop_consumer(consumer)

    async def _load(self, consumer: AIOKafkaConsumer, state: ConsoleState) -> None:
        """Reads up to where the topics ended when it began."""
        goal = await self._ends(consumer)
        start = await asyncio.wait_for(consumer.beginning_offsets(self._places), PROBE_TIMEOUT_SECONDS)
        whole = sum(goal.values()) - sum(start.values())
        probed = monotonic()
        while True:
            left = sum([max(0, goal[place] - await consumer.position(place)) for place in self._places])
            if not left:
                break
            self._board.connect("loading", f"reading, {max(0.0, 1 - left / whole):.0%}")
            await self._take(consumer, state)
            if monotonic() - probed >= PROBE_SECONDS:
                await self._ends(consumer)
                probed = monotonic()
        state.loaded(self._now())
        logger.info("feed loaded records=%d", whole)

    async def _go_on(self, consumer: AIOKafkaConsumer, state: ConsoleState) -> NoReturn:
        probed = monotonic()
        while True:
            if await self._take(consumer, state):
                self._board.changed()
            if monotonic() - probed >= PROBE_SECONDS:
                ends = await self._ends(consumer)
                for place in self._places:
                    if ends[place] < await consumer.position(place):
                        raise BrokerError(f"topic {place.topic} was made anew")
                probed = monotonic()
                metrics.HEARTBEAT.labels("console").set_to_current_time()

    async def _ends(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Where the topics end. Raises `TimeoutError` where the broker does not say."""
        ends: dict[TopicPartition, int] = await asyncio.wait_for(
            consumer.end_offsets(self._places), PROBE_TIMEOUT_SECONDS
        )
        return ends

    async def _take(self, consumer: AIOKafkaConsumer, state: ConsoleState) -> bool:
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        for records in fetched.values():
            for record in records:
                if record.value is not None:
                    self._put(state, record)
        return bool(fetched)

    def _put(self, state: ConsoleState, record: ConsumerRecord) -> None:
        try:
            if record.topic == self._topics.alerts.name:
                alert = _alert.decode(record.value)
                _check_schema(alert.schema)
                state.put_alert(alert)
                return
            entry = decode_window(record.key, record.value)
            if entry is None:
                return
            _check_schema(entry.schema)
            if isinstance(entry, Bucket):
                state.put_bucket(entry)
            else:
                state.put_checkpoint(entry, datetime.fromtimestamp(record.timestamp / 1000, UTC), self._now())
        except (msgspec.MsgspecError, ValueError) as error:
            metrics.STAGE_ERRORS.labels("console", type(error).__name__).inc()
            logger.warning(
                "record passed over topic=%s partition=%d offset=%d error=%s",
                record.topic,
                record.partition,
                record.offset,
                error,
            )


def _check_schema(schema: int) -> None:
    """Raises `ValueError` where a record is of a schema that this version must not read."""
    if schema > SCHEMA:
        raise ValueError(f"schema {schema} is newer than {SCHEMA}: update this console")


def _said(error: BaseException) -> str:
    return getattr(error, "message", "") or str(error) or "The broker did not answer in time."
