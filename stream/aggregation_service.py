"""The aggregation loop: reads `scored`, counts, writes changed buckets and then a checkpoint to `windows`.

The position to go on from is the checkpoint's: what the group commits is for whoever looks at the lag.
"""

import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from secrets import token_hex
from time import monotonic, time

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition

from stream import metrics
from stream.aggregation import PartitionCounter
from stream.closing import leave_group, stop_producer
from stream.errors import SchemaError
from stream.hot_loop import LOST, HotLoop, require_end, side_by_side
from stream.records import encode, read_scored, strange, window_key
from stream.windows_log import decode_window, read_to_end
from stream.writing import Entry, append, open_producer

logger = logging.getLogger(__name__)

LONGEST_RESTORE_SECONDS = 720.0
"""A million buckets take some 20 s. Nothing is fetched meanwhile, and the group must not take the worker for dead."""

BEAT_RECORDS = 10_000
"""So many are restored in less than a second."""

CAUGHT_UP_SECONDS = 1.0
"""How often the ends of `documents` are asked for: whoever waits for an idle partition waits far longer."""


class AggregationService(HotLoop):
    """Counts the partitions that the group gives to this worker."""

    stage = "aggregation"

    async def round(self) -> None:
        """Opens clients and counts until something fails or the service stops."""
        consumer = self.open_consumer("aggregation", longest_work=LONGEST_RESTORE_SECONDS)
        producer = open_producer(self.broker, client_id="finsentry-aggregation")
        counting = _Counting(self, consumer, producer)
        async with AsyncExitStack() as clients:
            clients.push_async_callback(stop_producer, producer)
            await producer.start()
            clients.push_async_callback(leave_group, consumer)
            consumer.subscribe([self.topics.scored.name], listener=counting)
            await consumer.start()
            await side_by_side(counting.run(), self.watch_lag(consumer, counting.done, waits=lambda: True))

    def counter(self, partition: int) -> PartitionCounter:
        """A counter that knows nothing yet of its partition."""
        return PartitionCounter(
            partition,
            lateness=timedelta(minutes=self.settings.lateness_minutes),
            evidence=self.settings.evidence,
        )


class _Partition:
    """A partition that this worker counts, and what it has counted since its last checkpoint."""

    def __init__(self, counter: PartitionCounter) -> None:
        self.counter = counter
        self.written = counter.position
        self.caught_up = False
        self.appended: list[int] = []
        """When the documents counted since were appended to `documents`, milliseconds since the epoch."""
        self.labels: list[tuple[str, str]] = []
        """Their topics and sentiments."""
        self.late, self.repeats = counter.late, counter.repeats

    def count(self, record: ConsumerRecord) -> None:
        document = read_scored(record)
        if self.counter.count(record.offset, document):
            self.appended.append(record.timestamp)
            self.labels.append((document.topic, document.sentiment or ""))

    def forget(self) -> None:
        """The partition is another worker's: what it reaches is told there."""
        with suppress(KeyError):
            metrics.WATERMARK.remove(str(self.counter.partition))

    def measure(self, now_ms: float) -> None:
        """Tells the metrics what has been acknowledged, and begins anew."""
        # The broker stamps all records of a request alike.
        for appended, documents in Counter(self.appended).items():
            metrics.LATENCY_SECONDS.observe_many(max(0.0, now_ms - appended) / 1000, documents)
        for (topic, sentiment), documents in Counter(self.labels).items():
            metrics.COUNTED.labels(topic, sentiment).inc(documents)
        metrics.LATE.inc(self.counter.late - self.late)
        metrics.REPEATS.inc(self.counter.repeats - self.repeats)
        self.late, self.repeats = self.counter.late, self.counter.repeats
        self.appended, self.labels = [], []
        metrics.WATERMARK.labels(str(self.counter.partition)).set(self.counter.watermark.timestamp())


class _Counting(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """One round: the partitions held, and the loop over them."""

    def __init__(self, service: AggregationService, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._service = service
        self._consumer = consumer
        self._producer = producer
        self._writer = token_hex(4)
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._begin: set[TopicPartition] = set()
        self._epoch = 0
        """Grows when partitions are taken away: what was restored in an older one may be another worker's by now."""
        self.done: dict[TopicPartition, int] = {}
        """The offset below which everything is in acknowledged buckets, by partition of `scored`."""
        self._ends: dict[int, int] = {}
        self._ends_at = 0.0
        self._flushed_at = 0.0

    # ---- the group's listener

    async def on_partitions_revoked(self, _partitions: set[TopicPartition]) -> None:
        """Drops them as they are: the next owner counts on from the last checkpoint, and arrives at the same."""
        self._epoch += 1
        for partition in self._partitions.values():
            partition.forget()
        self._partitions.clear()
        self.done.clear()
        self._begin.clear()

    async def on_partitions_assigned(self, partitions: set[TopicPartition]) -> None:
        # Restoring may take longer than the group waits for this callback, so the loop does it.
        self._consumer.pause(*partitions)
        self._begin = set(partitions)
        if not partitions:
            self._service.ready.set()  # more workers than partitions: this one stands by
        self._service.assigned(partitions)

    # ---- the loop

    async def run(self) -> None:
        settings = self._service.settings
        wait_ms = max(10, int(settings.flush_seconds * 1000))
        while True:
            if self._begin:
                await self._restore()
                continue
            fetched = await self._consumer.getmany(timeout_ms=wait_ms, max_records=settings.batch_scored)
            for place, records in fetched.items():
                partition = self._partitions.get(place)
                if partition is not None:
                    for record in records:
                        partition.count(record)
            if monotonic() - self._flushed_at >= settings.flush_seconds:
                await self._flush()

    async def _restore(self) -> None:
        """Reads what stands of the new partitions in `windows`, and goes on from their last checkpoints."""
        began = monotonic()
        epoch = self._epoch
        begin, self._begin = self._begin, set()
        counters = {place.partition: self._service.counter(place.partition) for place in begin}
        windows = [TopicPartition(self._service.topics.windows.name, partition) for partition in counters]
        read = 0
        async for record in read_to_end(self._service.broker, windows):
            try:
                entry = decode_window(record.key, record.value)
            except (msgspec.DecodeError, SchemaError) as error:
                raise strange(record, error) from error
            if entry is not None:
                counters[record.partition].restore(entry)
            if (read := read + 1) % BEAT_RECORDS == 0:
                self._service.alive()
        oldest = await self._consumer.beginning_offsets(list(begin))
        ends = await self._consumer.end_offsets(list(begin))
        if epoch != self._epoch:
            return
        for place in begin:
            require_end(place, ends[place], counters[place.partition].position, "windows")
            self._take_up(place, counters[place.partition], oldest[place])
        seconds = monotonic() - began
        metrics.RESTORE_SECONDS.set(seconds)
        logger.info(
            "restored stage=%s partitions=%s buckets=%d seconds=%.2f",
            self._service.stage,
            sorted(counters),
            sum(counter.open_buckets for counter in counters.values()),
            seconds,
        )
        self._service.ready.set()

    def _take_up(self, place: TopicPartition, counter: PartitionCounter, oldest: int) -> None:
        if counter.position < oldest:
            if counter.position:  # else no checkpoint stands, and nothing says whether they were counted
                self._service.expired(place, counter.position, oldest)
            counter.expire(oldest)
        self._consumer.seek(place, counter.position)
        self._consumer.resume(place)
        self._partitions[place] = _Partition(counter)
        self.done[place] = counter.position

    async def _flush(self) -> None:
        """Writes what changed since the last flush, each partition's checkpoint after its buckets."""
        self._flushed_at = monotonic()
        await self._learn_ends()
        due = {}
        for place, partition in self._partitions.items():
            end = self._ends.get(place.partition)  # of a partition that has just come it is not known
            caught_up = end is not None and partition.counter.origin + 1 >= end
            if partition.counter.position > partition.written or caught_up != partition.caught_up:
                due[place] = (partition, caught_up)
        if due:
            async with asyncio.TaskGroup() as tasks:
                for place, (partition, caught_up) in due.items():
                    tasks.create_task(self._write(place, partition, caught_up))
            await self._commit({place: partition.written for place, (partition, _) in due.items()})
            self._service.progress()
        metrics.OPEN_BUCKETS.set(sum(p.counter.open_buckets for p in self._partitions.values()))
        self._service.alive()

    async def _write(self, place: TopicPartition, partition: _Partition, caught_up: bool) -> None:
        counter = partition.counter
        records = counter.to_write(caught_up=caught_up)
        entries = [Entry(window_key(record, self._writer), encode(record)) for record in records]
        position = counter.position
        await append(self._producer, self._service.topics.windows.name, counter.partition, entries)
        partition.written, partition.caught_up = position, caught_up
        partition.measure(time() * 1000)
        if self._partitions.get(place) is not partition:  # lost meanwhile
            partition.forget()

    async def _commit(self, positions: dict[TopicPartition, int]) -> None:
        held = {place: position for place, position in positions.items() if place in self._partitions}
        self.done |= held
        try:
            if held:
                await self._consumer.commit(held)
        except LOST as error:
            self._service.commit_refused(error)

    async def _learn_ends(self) -> None:
        if monotonic() - self._ends_at < CAUGHT_UP_SECONDS or not self._partitions:
            return
        name = self._service.topics.documents.name
        places = [TopicPartition(name, p.partition) for p in self._partitions]
        ends, oldest = await self._consumer.end_offsets(places), await self._consumer.beginning_offsets(places)
        scored = await self._consumer.end_offsets(list(self._partitions))
        for place, partition in self._partitions.items():
            documents = TopicPartition(name, place.partition)
            if place in scored and documents in ends:
                require_end(documents, ends[documents], partition.counter.origin + 1, "scored")
                require_end(place, scored[place], partition.counter.position, "windows")
        # A partition whose documents have all expired has nothing left to do, scored or not.
        self._ends = {place.partition: end if oldest[place] < end else 0 for place, end in ends.items()}
        self._ends_at = monotonic()
