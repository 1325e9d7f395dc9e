"""Reads every source on its schedule and publishes what it finds; no source can stop another."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event

from ingest.entries import Rejected, Source
from ingest.errors import BrokerError, FetchError, FinSentryError, InputError, RowError, StoppingError
from ingest.http import Fetcher
from ingest.publisher import Outcome, Publisher, open_publisher
from ingest.schedule import Schedule, backoff, next_start
from ingest.settings import FeedSource, IngestSettings
from ingest.sources.feeds import Feed
from ingest.sources.json_api import JsonApi
from stream import metrics
from stream.broker import BrokerSettings
from stream.roles import RoleServer
from stream.topics import Topics

logger = logging.getLogger(__name__)

ROLE = "crawl"

LOOP_SECONDS = 0.5
"""Longest time in which the crawler does not look whether it must stop."""

LAST_READS_SECONDS = 5.0
"""A read sees within a second or two that it must stop, but for one that hangs in a resolver or a parser."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A source and the seconds between the starts of two reads."""

    source: Source
    every: float


@dataclass(frozen=True, slots=True)
class Round:
    """How one read of one source ended."""

    outcome: str
    """`ok`, `partial` (something was rejected) or `error`."""
    published: int = 0
    duplicates: int = 0
    rejected: int = 0
    retry_after: float = 0.0


@dataclass(slots=True)
class _State:
    started: float = 0.0
    failures: int = 0


class Crawler:
    """Runs until it is told to stop, or the broker is lost."""

    def __init__(
        self,
        sources: Sequence[Scheduled],
        publisher: Publisher,
        *,
        stop: Event,
        workers: int,
        max_backoff: float,
        last_reads_seconds: float = LAST_READS_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`last_reads_seconds`: how long reads that are running may take once the crawler is told to stop."""
        self._sources = sources
        self._publisher = publisher
        self._stop = stop
        self._workers = workers
        self._max_backoff = max_backoff
        self._last_reads_seconds = last_reads_seconds
        self._monotonic = monotonic
        self._chance = chance
        self._states = [_State() for _ in sources]
        self._reads: dict[int, Future[None]] = {}
        """The latest of each source."""
        self._done: SimpleQueue[tuple[int, Round | BaseException]] = SimpleQueue()

    def run(self) -> None:
        """Returns after `stop` is set and what was being read has been published, or hangs and is left behind.

        Raises `BrokerError` where a document was lost: nothing may go on as if it were safe.
        """
        schedule = Schedule(len(self._sources), self._monotonic())
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="crawl")
        try:
            while not self._stop.is_set():
                metrics.HEARTBEAT.labels(ROLE).set_to_current_time()
                while (number := schedule.take(self._monotonic())) is not None:
                    self._states[number].started = self._monotonic()
                    self._reads[number] = pool.submit(self._read, number)
                self._settle(schedule)
        finally:
            self._stop.set()  # also when the broker was lost, so that waiting threads end
            pool.shutdown(wait=False, cancel_futures=True)
            self._await_last_reads()

    def _await_last_reads(self) -> None:
        """Returns when they have ended, or are given up."""
        # What is left behind spoils nothing: a closed producer takes no document, and cursors and validators are this
        # process's alone, so that the next one reads once more what was not published.
        running = {read: number for number, read in self._reads.items() if not read.cancelled()}
        for read in wait(running, self._last_reads_seconds).not_done:
            logger.error("a read hangs and is left behind source=%s", self._sources[running[read]].source.name)

    def _read(self, number: int) -> None:
        source = self._sources[number].source
        try:
            self._done.put((number, read_source(source, self._publisher, stop=self._stop)))
        except BaseException as error:
            self._done.put((number, error))

    def _settle(self, schedule: Schedule) -> None:
        """Waits shortly for one read to end, and says when its source is due again."""
        try:
            number, result = self._done.get(timeout=schedule.pause(self._monotonic(), LOOP_SECONDS))
        except Empty:
            return
        if isinstance(result, BaseException):
            raise result
        state, every = self._states[number], self._sources[number].every
        now = self._monotonic()
        if result.outcome != "error":
            state.failures = 0
            schedule.put(number, next_start(state.started, now, every))
            return
        state.failures += 1
        wait = backoff(state.failures, every, self._max_backoff, self._chance())
        schedule.put(number, now + max(wait, result.retry_after))


def read_source(source: Source, publisher: Publisher, *, stop: Event) -> Round:
    """Reads a source once and publishes what it gives. Raises `BrokerError` alone: all else is the source's error."""
    started = time.perf_counter()
    counts = dict.fromkeys(Outcome, 0)
    rejections: list[Rejected] = []
    error: Exception | None = None
    try:
        for item in source.read():
            if isinstance(item, Rejected):
                rejections.append(item)
            else:
                try:
                    counts[publisher.publish(item)] += 1
                except RowError as refused:
                    rejections.append(Rejected.of(item, refused.message))
            if stop.is_set():
                break
    except BrokerError:
        raise
    except StoppingError:
        pass
    except Exception as caught:  # a fault in one source's reader must not stop the others
        error = caught
    result = Round(
        outcome="error" if error else "partial" if rejections else "ok",
        published=counts[Outcome.PUBLISHED] + counts[Outcome.COPY],
        duplicates=counts[Outcome.DUPLICATE],
        rejected=len(rejections),
        retry_after=error.retry_after if isinstance(error, FetchError) else 0.0,
    )
    _report(source, result, rejections, error, time.perf_counter() - started)
    return result


def _report(
    source: Source, result: Round, rejections: Sequence[Rejected], error: Exception | None, seconds: float
) -> None:
    metrics.FETCHES.labels(source.name, result.outcome).inc()
    metrics.FETCH_SECONDS.labels(source.name).observe(seconds)
    metrics.SOURCE_UP.labels(source.name).set(error is None)
    metrics.REJECTED.labels(source.kind).inc(result.rejected)
    if rejections:
        logger.warning("entries rejected source=%s count=%d first=%r", source.name, len(rejections), str(rejections[0]))
    if error is None:
        logger.info(
            "source read source=%s published=%d duplicates=%d seconds=%.3f",
            source.name,
            result.published,
            result.duplicates,
            seconds,
        )
    elif isinstance(error, FinSentryError):
        logger.warning("source failed source=%s error=%r", source.name, error.message)
    else:
        logger.error("source failed source=%s", source.name, exc_info=error)


def make_sources(settings: IngestSettings, publisher: Publisher, fetcher: Fetcher) -> list[Scheduled]:
    """The sources of the settings, ready to be read."""
    made: list[Scheduled] = []
    for source in settings.sources:
        if isinstance(source, FeedSource):
            reader: Source = Feed(source, settings, fetcher, knows=publisher.knows)
        else:
            reader = JsonApi(source, settings, fetcher)
        made.append(Scheduled(reader, source.every_seconds))
    return made


def run_crawler(
    settings: IngestSettings,
    broker: BrokerSettings,
    topics: Topics,
    *,
    port: int,
    stop: Event,
    metrics_host: str = "127.0.0.1",
) -> None:
    """The role `crawl`: serves its metrics on `port` of `metrics_host`, and crawls until `stop` is set.

    Ready once the memory has been read back. Raises `InputError` where nothing is to be crawled, `BrokerError` where
    Kafka cannot be reached or is lost.
    """
    if not settings.sources:
        raise InputError("no sources are configured", fix="list feeds or APIs under ingest.sources in finsentry.toml")
    server = RoleServer(ROLE, port, host=metrics_host)
    server.start()
    try:
        with open_publisher(settings, broker, topics) as publisher:
            server.ready()
            crawler = Crawler(
                make_sources(settings, publisher, Fetcher(settings, wait=stop.wait)),
                publisher,
                stop=stop,
                workers=settings.workers,
                max_backoff=settings.max_backoff_seconds,
            )
            crawler.run()
    finally:
        server.stop()
