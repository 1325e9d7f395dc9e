"""The scoring loop: reads `documents`, classifies, writes `scored`, and only then commits what it read.

Fetching, classifying and writing overlap in three tasks with a batch or a few waiting between each two, so a slow model
makes the loop fall behind, never grow. The classifier always gets all that waits for it: many small batches cost it up
to twice as much a text as one.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from model.language import CANDIDATES, EAST_ASIAN, UNKNOWN
from stream import metrics
from stream.broker import BrokerSettings
from stream.classifying import Classifying
from stream.closing import leave_group, stop_producer
from stream.hot_loop import LOST, HotLoop, Outcome, log_lost, require_end, side_by_side
from stream.poison import PoisonGuard
from stream.records import ScoredDocument, encode
from stream.scoring import Received, Scored, Scorer
from stream.settings import StreamSettings
from stream.topics import Topics
from stream.waiting import Fetched, Waiting
from stream.writing import Entry, append, open_producer

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 0.5
"""A commit is a request of its own: at most two a second cost nothing and bound what a crash scores twice."""

RESULTS_WAITING = 4
"""Scored batches that wait while one is being written, and are then written together: a classifier that is faster than
the broker's acknowledgements must not wait for one a batch."""

RESTORE_SECONDS = 60.0
"""Some requests: one that is never answered must not hold up the partitions."""

REBALANCE_SESSIONS = 10
"""A rebalance waits for each member that died since the last one, one session at most for each wave of them."""


@dataclass(frozen=True, slots=True)
class _Result:
    epoch: int
    batches: int
    """How many `Fetched` it settles."""
    scored: list[Scored]


class ScoringService(HotLoop):
    """Scores the partitions that the group gives to this worker."""

    stage = "scoring"

    def __init__(
        self,
        broker: BrokerSettings,
        topics: Topics,
        settings: StreamSettings,
        outcome: Outcome,
        classifying: Classifying,
    ) -> None:
        super().__init__(broker, topics, settings, outcome)
        self.classifying = classifying

    async def round(self) -> None:
        """Opens clients and keeps the three tasks going until one fails or the service stops."""
        consumer = self.open_consumer(
            "scoring", longest_work=self.classifying.longest_seconds(self.settings.batch_documents)
        )
        producer = open_producer(
            self.broker, client_id="finsentry-scoring", max_record_bytes=self.topics.max_document_bytes
        )
        admin = AIOKafkaAdminClient(**self.broker.client_options(), client_id="finsentry-scoring-admin")
        pipeline = _Pipeline(self, consumer, producer, admin)
        async with AsyncExitStack() as clients:
            clients.push_async_callback(admin.close)
            await admin.start()
            clients.push_async_callback(stop_producer, producer)
            await producer.start()
            clients.push_async_callback(leave_group, consumer)
            consumer.subscribe([self.topics.documents.name], listener=pipeline)
            await consumer.start()
            await side_by_side(
                pipeline.fetch(),
                pipeline.classify(),
                pipeline.write(),
                self.watch_lag(consumer, pipeline.done, waits=pipeline.waits),
                self.classifying.watch_drift(),
            )

    def scorer(self) -> Scorer:
        """A scorer that knows no partition yet."""
        return Scorer(topic=self.topics.documents.name, max_text_bytes=self.settings.max_text_bytes)

    def guard(self) -> PoisonGuard:
        """A guard that has seen nothing yet."""
        settings = self.settings
        return PoisonGuard(
            ratio=settings.poison_ratio, window=settings.poison_window, consecutive=settings.poison_consecutive
        )


class _Pipeline(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """One round's three tasks and what they share."""

    def __init__(
        self,
        service: ScoringService,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        admin: AIOKafkaAdminClient,
    ) -> None:
        self._service = service
        self._consumer = consumer
        self._producer = producer
        self._admin = admin
        self._scorer = service.scorer()
        self._guard = service.guard()
        self._epoch = 0
        """Grows when partitions are taken away: results of an older one are dropped whole, never in part."""
        self._begin: set[int] = set()
        self._next: dict[TopicPartition, int] = {}
        """The offset that is to come next, by partition of `documents`."""
        self._open = asyncio.Event()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting = Waiting(service.settings.batch_documents)
        self._results: asyncio.Queue[_Result] = asyncio.Queue(RESULTS_WAITING)
        self.done: dict[TopicPartition, int] = {}
        """The offset below which everything read is acknowledged, by partition of `documents`."""
        self._to_commit: dict[TopicPartition, tuple[int, str]] = {}
        self._committed_at = 0.0

    # ---- the group's listener

    async def on_partitions_revoked(self, partitions: set[TopicPartition]) -> None:
        """Lets what is in flight end, for a third of the session, so that the next owner need not score it again."""
        self._open.clear()
        try:
            if partitions:
                async with asyncio.timeout(self._service.settings.session_timeout_seconds / 3):
                    await self._commit()  # what is acknowledged, should the batch in flight take longer
                    await self._idle.wait()
                    await self._commit()
        except TimeoutError:
            logger.info("partitions lost with a batch in flight stage=%s", self._service.stage)
        finally:  # the client passes over what a listener raises
            self._epoch += 1
            self.done.clear()
            self._next.clear()
            self._to_commit.clear()

    async def on_partitions_assigned(self, partitions: set[TopicPartition]) -> None:
        # Paused before anything of them can be fetched: a `getmany` that began before the rebalance must not take their
        # records, which would be dropped with its epoch and never come again.
        self._consumer.pause(*partitions)
        self._begin = {partition.partition for partition in partitions}
        self._open.set()
        self._service.assigned(partitions)
        self._service.ready.set()

    def waits(self) -> bool:
        """Nothing is under way, so that it is records that are missing."""
        return self._open.is_set() and not self._in_flight

    # ---- the tasks

    async def fetch(self) -> None:
        while True:
            room = await self._waiting.room()
            await self._until_open()
            epoch = self._epoch
            async with asyncio.timeout(RESTORE_SECONDS):
                restored = await self._restore(self._begin) if self._begin else {}
            if epoch != self._epoch:
                continue
            self._begin -= restored.keys()
            self.done |= (begun := {self._place(partition): offset for partition, (offset, _) in restored.items()})
            self._next |= begun
            for place, offset in begun.items():
                self._consumer.seek(place, offset)  # what it asked for itself may be another, with another watermark
            self._consumer.resume(*begun)
            fetched = await self._consumer.getmany(timeout_ms=500, max_records=room)
            received = [
                Received(place.partition, record.offset, record.timestamp, record.key, record.value)
                for place, records in fetched.items()
                for record in records
            ]
            if epoch != self._epoch:
                continue  # all of it is of partitions that were taken away: those given since are paused
            if not await self._follows(epoch, fetched):
                continue
            if not received and not restored:
                self._service.alive()
                continue
            self._in_flight += 1
            self._idle.clear()
            watermarks = {partition: watermark for partition, (_, watermark) in restored.items()}
            self._waiting.put(Fetched(epoch, watermarks, received))

    async def classify(self) -> None:
        while True:
            taken, epoch = await self._waiting.take(), self._epoch
            batches = [batch for batch in taken if batch.epoch == epoch]
            for batch in batches:
                for partition, watermark in batch.restored.items():
                    self._scorer.restore(partition, watermark)
            received = [record for batch in batches for record in batch.received]
            scored = (await self._service.classifying.score(self._scorer, received)).scored if received else []
            await self._results.put(_Result(epoch, len(taken), scored))

    async def write(self) -> None:
        while True:
            results = [await self._results.get()]
            while not self._results.empty():
                results.append(self._results.get_nowait())
            valid = [result for result in results if result.epoch == self._epoch]
            if scored := [item for result in valid for item in result.scored]:
                self._observe(scored)  # only those that will be written: others are scored once more
                await self._append(scored)
            self._in_flight -= sum(result.batches for result in results)
            if not self._in_flight:
                self._idle.set()
            # One who gives partitions up waits for what is in flight, and perhaps not to its end.
            if not self._in_flight or not self._open.is_set() or monotonic() - self._committed_at >= COMMIT_SECONDS:
                await self._commit()

    # ---- what they do

    async def _until_open(self) -> None:
        """Waits for a rebalance to end. Raises `TimeoutError` where it does not: a fresh client must join anew.

        A consumer whose rejoining failed tells nobody until it is asked for records, which is not done meanwhile.
        """
        async with asyncio.timeout(REBALANCE_SESSIONS * self._service.settings.session_timeout_seconds):
            await self._open.wait()

    def _observe(self, scored: Iterable[Scored]) -> None:
        sound = 0
        for item in scored:
            if item.dead_letter is None:
                sound += 1
                continue
            self._guard.sound(sound)
            sound = 0
            self._guard.dead(f"{item.dead_letter.error}: {item.dead_letter.message}")
        self._guard.sound(sound)

    async def _append(self, scored: Sequence[Scored]) -> None:
        topics = self._service.topics
        # Dead letters first: a marker in `scored` must never stand for a letter that is nowhere.
        letters = [item.dead_letter for item in scored if item.dead_letter]
        if letters:
            entries = [Entry(letter.position.encode(), encode(letter)) for letter in letters]
            await append(self._producer, topics.dead_letters.name, 0, entries)
        parts: dict[int, list[Scored]] = defaultdict(list)
        for item in scored:
            parts[item.partition].append(item)
        async with asyncio.TaskGroup() as tasks:
            for partition, items in parts.items():
                tasks.create_task(append(self._producer, topics.scored.name, partition, _entries(items)))
        for partition, items in parts.items():
            place, last = TopicPartition(topics.documents.name, partition), items[-1]
            self.done[place] = last.offset + 1
            self._to_commit[place] = (self.done[place], last.document.watermark.isoformat())
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.stage, letter.error).inc()
        _count([item.document for item in scored if not item.document.dead])
        self._service.progress()

    async def _commit(self) -> None:
        """Commits offsets, each with the watermark that belongs to it."""
        offsets, self._to_commit = self._to_commit, {}
        self._committed_at = monotonic()
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except LOST as error:
            self._service.commit_refused(error)

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._service.topics.documents.name, partition)

    async def _follows(self, epoch: int, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> bool:
        """Notices where what was fetched does not follow what came before it; False once partitions are taken away.

        A consumer whose place is gone begins anew at the oldest record without a word: what expired meanwhile is said,
        and a log that goes back has lost its end. Transactions leave offsets without records, which are nobody's.
        """
        for place, records in fetched.items():
            first, expected = records[0].offset, self._next[place]
            if first < expected:
                raise log_lost(place, f"goes on at offset {first}", expected, self._service.stage)
            if first > expected:
                oldest = (await self._consumer.beginning_offsets([place]))[place]
                if epoch != self._epoch:
                    return False
                if expected < oldest:
                    self._service.expired(place, expected, oldest)
            self._next[place] = records[-1].offset + 1
        return True

    async def _restore(self, partitions: Iterable[int]) -> dict[int, tuple[int, datetime | None]]:
        """Where each goes on, and the watermark that stands beside that offset."""
        places = [self._place(partition) for partition in sorted(partitions)]
        found = await self._admin.list_consumer_group_offsets(self._service.topics.group("scoring"), partitions=places)
        oldest, ends = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        restored: dict[int, tuple[int, datetime | None]] = {}
        for place in places:
            begin, watermark = found[place].offset, found[place].metadata  # negative where nothing was committed yet
            require_end(place, ends[place], begin, "scoring")
            if 0 <= begin < oldest[place]:
                self._service.expired(place, begin, oldest[place])
            at = datetime.fromisoformat(watermark) if watermark else None
            restored[place.partition] = max(begin, oldest[place]), at
        return restored


def _count(documents: Sequence[ScoredDocument]) -> None:
    for model, scored in Counter(document.model for document in documents).items():
        metrics.SCORED.labels(model).inc(scored)
    for language, scored in Counter(document.language for document in documents if document.fallback).items():
        metrics.FALLBACK.labels(_language_label(language)).inc(scored)


def _language_label(language: str) -> str:
    """Bounded, whatever a source declares."""
    if language == UNKNOWN:
        return "unknown"
    return language if language in CANDIDATES | EAST_ASIAN else "other"


def _entries(items: Iterable[Scored]) -> list[Entry]:
    # The record's time is the document's append, so that whoever counts it can tell the latency.
    # A dead one may be dead because of its key.
    return [
        Entry(b"" if item.document.dead else item.key or b"", encode(item.document), item.appended_ms) for item in items
    ]
