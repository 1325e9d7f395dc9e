"""Reading `windows`, `alerts` and `control` from their start and on, for roles that keep nothing of their own.

After any trouble with the broker such a role reads everything anew: nothing of a log that is gone stays with it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream import metrics
from stream.broker import STALLED_SECONDS, BrokerSettings, silent
from stream.closing import end_task, stop_consumer
from stream.control import ControlTable
from stream.errors import BrokerError, SchemaError
from stream.records import Alert, WindowRecord, require_known
from stream.standstill import Standstill
from stream.topics import Topics
from stream.windows_log import decode_window, newest_from

logger = logging.getLogger(__name__)

POLL_MS = 200
POLL_RECORDS = 2000
"""Some 20 ms of decoding: a role serves pages and metrics in between."""

PROBE_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 5.0
"""A consumer waits for a lost broker without a word, so it is asked something that must be answered."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)

WELL_SECONDS = 30.0
"""Trouble after so long is new trouble."""

_alerts = msgspec.json.Decoder(Alert)


class Read(NamedTuple):
    """A record, and the clock time at which it was written."""

    entry: WindowRecord | Alert
    written: datetime


class Follower:
    """Reads the topics over all partitions: `load` what stands there, then `read` on. An async context manager.

    With a `group` it may commit for that group. What `control` says goes into the table of that name: it is read where
    one is given. Raises `KafkaError`, `BrokerError`, `OSError` or `TimeoutError` where
    the broker is gone or its topics were made anew; a record that cannot be read is logged, counted and passed over.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        *,
        role: str,
        group: str | None = None,
        control: ControlTable | None = None,
    ) -> None:
        self._role = role
        self._topics = topics
        self._control = control
        followed = (topics.windows, topics.alerts, *((topics.control,) if control is not None else ()))
        self._places = [TopicPartition(topic.name, p) for topic in followed for p in range(topic.partitions)]
        self._documents = [TopicPartition(topics.documents.name, p) for p in range(topics.documents.partitions)]
        self.document_ends: dict[int, int] = {}
        """Where each partition of `documents` ended some seconds ago: what workers have still to do, dead or alive."""
        self._probed_at = monotonic()
        self._standstill = Standstill()
        self._broker = broker
        self.consumer = AIOKafkaConsumer(
            **broker.client_options(),
            client_id=f"finsentry-{role}",
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )

    async def __aenter__(self) -> Self:
        try:
            await self.consumer.start()
        except BaseException:
            await stop_consumer(self.consumer)
            raise
        self.consumer.assign(self._places)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_consumer(self.consumer)

    async def load(self) -> AsyncIterator[tuple[float, list[Read]]]:
        """Everything that stands in the topics when it is called, in parts, each with the share read before it.

        Of each partition of `windows` the newest `NEWEST_RECORDS` come first and then those before them, either
        stretch oldest first: how far event time has come, as a rule, is known before the past is read.
        """
        goal = await self._ends()
        starts = await asyncio.wait_for(self.consumer.beginning_offsets(self._places), PROBE_TIMEOUT_SECONDS)
        windows = {place: end for place, end in goal.items() if place.topic == self._topics.windows.name}
        past = {place: end for place, end in newest_from(starts, windows).items() if end > starts[place]}
        whole = sum(goal.values()) - sum(starts.values())
        waiting = sum(past[place] - starts[place] for place in past)
        for place in self._places:
            self.consumer.seek(place, past.get(place, starts[place]))
        # Compaction leaves holes: the position, not the last record, tells when the end is reached.
        while left := _left(goal, await self._positions()):
            yield max(0.0, 1 - (left + waiting) / whole), await self.read()
        reached = await self._positions()
        for place in past:
            self.consumer.seek(place, starts[place])
        while left := _left(past, positions := await self._positions()):
            unread = [place for place in past if positions[place] < past[place]]
            yield max(0.0, 1 - left / whole), await self._read(*unread, before=past)
        for place in past:
            self.consumer.seek(place, reached[place])
        logger.info("loaded role=%s records=%d", self._role, whole)

    async def read(self) -> list[Read]:
        """What came since, or nothing after a fifth of a second."""
        return await self._read(before={})

    async def _read(self, *places: TopicPartition, before: Mapping[TopicPartition, int]) -> list[Read]:
        """The next records, of these places where some are named; where `before` says so, up to that offset."""
        await self._probe()
        fetched = await self.consumer.getmany(*places, timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        found = [
            self._decode(record)
            for place, records in fetched.items()
            for record in records
            if place not in before or record.offset < before[place]
        ]
        return [record for record in found if record is not None]

    def _decode(self, record: ConsumerRecord) -> Read | None:
        try:
            entry: WindowRecord | Alert | None = None
            if self._control is not None and record.topic == self._topics.control.name:
                self._control.put(record.key, record.value, record.timestamp)
            elif record.topic == self._topics.alerts.name:
                entry = _alerts.decode(record.value) if record.value else None
                if entry is not None:
                    require_known(entry.schema)
            else:
                entry = decode_window(record.key, record.value)
        except (msgspec.MsgspecError, SchemaError, ValueError) as error:
            metrics.STAGE_ERRORS.labels(self._role, type(error).__name__).inc()
            logger.warning(
                "record passed over topic=%s partition=%d offset=%d error=%s",
                record.topic,
                record.partition,
                record.offset,
                error,
            )
            return None
        return Read(entry, datetime.fromtimestamp(record.timestamp / 1000, UTC)) if entry is not None else None

    async def _probe(self) -> None:
        """Sees now and then whether the broker still answers and gives what stands there, and measures the lag."""
        if monotonic() - self._probed_at < PROBE_SECONDS:
            return
        ends = await self._ends()
        positions = await self._positions()
        for place, position in positions.items():
            if ends[place] < position:
                raise BrokerError(f"topic {place.topic} was made anew")
            if place.topic == self._topics.windows.name:
                metrics.LAG.labels(self._role, str(place.partition)).set(ends[place] - position)
        self._probed_at = monotonic()
        if self._standstill.look(positions, behind=positions != ends, now=self._probed_at) > STALLED_SECONDS:
            raise silent(self._broker)

    async def _positions(self) -> dict[TopicPartition, int]:
        """Raises `TimeoutError` where the consumer does not learn where to begin, for which it would wait for ever."""
        async with asyncio.timeout(STALLED_SECONDS):
            return {place: await self.consumer.position(place) for place in self._places}

    async def _ends(self) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = await asyncio.wait_for(
            self.consumer.end_offsets([*self._places, *self._documents]), PROBE_TIMEOUT_SECONDS
        )
        oldest = await asyncio.wait_for(self.consumer.beginning_offsets(self._documents), PROBE_TIMEOUT_SECONDS)
        # A partition whose documents have all expired has nothing left to do, scored or not.
        self.document_ends = {p.partition: ends[p] if oldest[p] < ends[p] else 0 for p in self._documents}
        return {place: ends[place] for place in self._places}


def _left(goal: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]) -> int:
    """How many offsets are still to be read until there."""
    return sum(max(0, end - positions[place]) for place, end in goal.items())


async def keep_following(
    role: str, follow: Callable[[], Awaitable[NoReturn]], *, lost: Callable[[BaseException], None] = lambda _error: None
) -> NoReturn:
    """Awaits `follow()` again and again until it is cancelled; waits out trouble with the broker and tells `lost`.

    Raises what `follow` raises and waiting does not mend.
    """
    failures = 0
    while True:
        began = monotonic()
        # A task of its own, for aiokafka 0.14 may let a cancellation out that was not meant for this one.
        task = asyncio.ensure_future(follow())
        try:
            await asyncio.wait({task})
        finally:
            await end_task(task)
        if task.cancelled():
            continue
        error = task.exception()
        if not isinstance(error, KafkaError | BrokerError | OSError | TimeoutError):
            task.result()
        failures = 0 if monotonic() - began >= WELL_SECONDS else failures
        wait = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
        failures += 1
        metrics.STAGE_ERRORS.labels(role, type(error).__name__).inc()
        logger.warning("starting again role=%s in=%.1fs error=%s: %s", role, wait, type(error).__name__, error)
        lost(error)
        await asyncio.sleep(wait)
