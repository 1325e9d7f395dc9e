"""Sources are read on time, no one stops another, and a lost broker stops them all."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from threading import Event
from time import sleep

import httpx
import pytest
from prometheus_client import REGISTRY

from ingest.crawler import ROLE, Crawler, Scheduled, make_sources, read_source, run_crawler
from ingest.entries import Item, Rejected
from ingest.errors import BrokerError, FetchError, InputError, StoppingError
from ingest.memory import Memory
from ingest.publisher import Publisher
from ingest.settings import FeedSource, IngestSettings, JsonApiSource
from stream import metrics
from stream.broker import BrokerSettings
from stream.records import SourceKind
from stream.topics import Topics, TopicSettings
from tests.unit.ingest.documents import NOW, STORY, InMemoryProducer, document
from tests.unit.ingest.web import Web

Read = Callable[[int], Iterator[Item]]


class FakeSource:
    """Calls `read` with the number of the round."""

    kind: SourceKind = "news"

    def __init__(self, name: str, read: Read) -> None:
        self.name = name
        self.rounds = 0
        self._read = read

    def read(self) -> Iterator[Item]:
        self.rounds += 1
        yield from self._read(self.rounds)


def gives(*items: Item) -> Read:
    return lambda _: iter(items)


def fails(error: BaseException, *before: Item) -> Read:
    def read(_: int) -> Iterator[Item]:
        yield from before
        raise error

    return read


def publisher(producer: InMemoryProducer) -> Publisher:
    return Publisher(producer, Memory(IngestSettings()), clock=lambda: NOW)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_round_says_what_it_found() -> None:
    before = metric("finsentry_rows_rejected_total", source_kind="news")
    copy = document(f"{STORY} | Newswire")
    source = FakeSource("round", gives(document(), Rejected("entry 2", "no text"), document(), copy))
    result = read_source(source, publisher(InMemoryProducer()), stop=Event())
    assert (result.outcome, result.published, result.duplicates, result.rejected) == ("partial", 2, 1, 1)
    assert metric("finsentry_rows_rejected_total", source_kind="news") == before + 1


def test_what_came_before_an_error_is_published() -> None:
    producer = InMemoryProducer()
    source = FakeSource("half", fails(FetchError("gone", retry_after=7.0), document()))
    result = read_source(source, publisher(producer), stop=Event())
    assert (result.outcome, result.published, result.retry_after) == ("error", 1, 7.0)
    assert len(producer.records) == 1


@pytest.mark.parametrize("error", [FetchError("gone"), InputError("no token"), RuntimeError("a bug"), KeyError("x")])
def test_any_error_of_a_source_is_its_own(error: Exception) -> None:
    source = FakeSource("sick", fails(error))
    assert read_source(source, publisher(InMemoryProducer()), stop=Event()).outcome == "error"
    assert metric("finsentry_source_up", source="sick") == 0.0


def test_a_document_that_the_topic_cannot_take_costs_itself_alone() -> None:
    producer = InMemoryProducer()
    small = Publisher(producer, Memory(IngestSettings()), clock=lambda: NOW, max_document_bytes=100_000)
    source = FakeSource("long", gives(document("x" * 200_000), document()))
    result = read_source(source, small, stop=Event())
    assert (result.outcome, result.published, result.rejected) == ("partial", 1, 1)
    assert producer.documents() == [document()]


def test_a_lost_broker_is_everybodys_error() -> None:
    producer = InMemoryProducer()
    producer.fail()
    with pytest.raises(BrokerError):
        read_source(FakeSource("any", gives(document())), publisher(producer), stop=Event())


def test_stopping_is_no_error() -> None:
    source = FakeSource("stopped", fails(StoppingError("stops")))
    assert read_source(source, publisher(InMemoryProducer()), stop=Event()).outcome == "ok"


def test_a_stop_ends_a_round_after_the_document_at_hand() -> None:
    stop = Event()
    stop.set()
    producer = InMemoryProducer()
    source = FakeSource(
        "long", gives(document("One of many stories of the day"), document("Two of many stories of it"))
    )
    read_source(source, publisher(producer), stop=stop)
    assert len(producer.records) == 1


def test_the_state_of_a_source_is_visible() -> None:
    before = metric("finsentry_fetches_total", source="seen", outcome="ok")
    read_source(FakeSource("seen", gives(document())), publisher(InMemoryProducer()), stop=Event())
    assert metric("finsentry_fetches_total", source="seen", outcome="ok") == before + 1
    assert metric("finsentry_source_up", source="seen") == 1.0
    read_source(FakeSource("quiet", gives()), publisher(InMemoryProducer()), stop=Event())
    assert metric("finsentry_source_up", source="quiet") == 1.0, "nothing new is no fault"


@contextmanager
def crawling(producer: InMemoryProducer, *sources: FakeSource, every: float = 0.01) -> Iterator[threading.Thread]:
    stop = Event()
    crawler = Crawler(
        [Scheduled(source, every) for source in sources],
        publisher(producer),
        stop=stop,
        workers=4,
        max_backoff=0.02,
        chance=lambda: 0.0,
    )
    errors: list[BaseException] = []

    def run() -> None:
        try:
            crawler.run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    stop.set()
    thread.join(30.0)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def reached(rounds: int) -> tuple[Read, Event]:
    """A read that sets the event in its round number `rounds`."""
    event = Event()

    def read(number: int) -> Iterator[Item]:
        if number >= rounds:
            event.set()
        yield document(f"Story number {number} of a busy day in the markets")

    return read, event


def test_sources_are_read_again_and_again_beside_one_that_always_fails() -> None:
    read, event = reached(5)
    tried_again = Event()

    def fail(number: int) -> Iterator[Item]:
        if number >= 2:
            tried_again.set()
        raise RuntimeError("a bug")

    producer = InMemoryProducer()
    with crawling(producer, FakeSource("sick", fail), FakeSource("well", read)):
        assert event.wait(30.0)
        assert tried_again.wait(30.0)
    assert len(producer.records) >= 5


def moments(script: Sequence[float | Exception], every: float) -> list[float]:
    """When a source was read that takes the script's seconds, or fails: by a clock that another source moves on."""
    now = 0.0
    found: list[float] = []
    ended, stop = Event(), Event()

    def tick(_: int) -> Iterator[Item]:
        nonlocal now
        sleep(0.001)
        now += 1.0
        yield from ()

    def read(number: int) -> Iterator[Item]:
        found.append(now)
        step = script[number - 1] if number <= len(script) else 0.0
        if number > len(script):
            ended.set()
        if isinstance(step, Exception):
            raise step
        until = found[-1] + step
        while now < until and not stop.is_set():
            sleep(0.001)
        yield from ()

    crawler = Crawler(
        [Scheduled(FakeSource("script", read), every), Scheduled(FakeSource("clock", tick), 0.0)],
        publisher(InMemoryProducer()),
        stop=stop,
        workers=2,
        max_backoff=500.0,
        monotonic=lambda: now,
        chance=lambda: 1.0,
    )
    thread = threading.Thread(target=crawler.run)
    thread.start()
    assert ended.wait(60.0)
    stop.set()
    thread.join(30.0)
    return found


def gaps(script: Sequence[float | Exception], every: float) -> list[float]:
    return [after - before for before, after in pairwise(moments(script, every))]


def test_a_source_that_fails_is_left_alone_for_longer_each_time_until_it_succeeds() -> None:
    gone = FetchError("gone")
    found = gaps([gone, gone, gone, 0.0, gone], every=50.0)
    # The clock goes on a little until a source that is due is read.
    assert [gap // 50 * 50 for gap in found] == [50.0, 100.0, 200.0, 50.0, 50.0]


def test_a_slow_source_is_due_by_when_it_was_started() -> None:
    (gap,) = gaps([45.0], every=50.0)
    assert 50.0 <= gap < 90.0


def test_a_crawler_whose_broker_is_lost_tells_all_that_wait() -> None:
    stop, producer = Event(), InMemoryProducer()
    producer.fail()

    def waits(_: int) -> Iterator[Item]:
        stop.wait(60.0)
        yield from ()

    sources = [Scheduled(FakeSource("waits", waits), 1.0), Scheduled(FakeSource("any", gives(document())), 1.0)]
    crawler = Crawler(sources, publisher(producer), stop=stop, workers=2, max_backoff=1.0, last_reads_seconds=30.0)
    with pytest.raises(BrokerError):
        crawler.run()
    assert stop.is_set()


def test_a_crawler_that_goes_on_says_so() -> None:
    read, event = reached(2)
    metrics.HEARTBEAT.labels(ROLE).set(0)
    with crawling(InMemoryProducer(), FakeSource("well", read)):
        assert event.wait(30.0)
    assert metric("finsentry_heartbeat_timestamp_seconds", role=ROLE) > 0


def test_a_source_that_asks_for_quiet_gets_it() -> None:
    read, event = reached(5)
    busy = FakeSource("busy", fails(FetchError("429", retry_after=1000.0)))
    with crawling(InMemoryProducer(), busy, FakeSource("well", read)):
        assert event.wait(30.0)
    assert busy.rounds == 1


def test_a_source_that_hangs_holds_up_no_other() -> None:
    held = Event()

    def hang(_: int) -> Iterator[Item]:
        held.wait(60.0)
        yield from ()

    read, event = reached(5)
    with crawling(InMemoryProducer(), FakeSource("slow", hang), FakeSource("well", read)):
        assert event.wait(30.0)
        held.set()


def test_a_source_that_hangs_does_not_keep_the_crawler_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    stop, held, hangs = Event(), Event(), Event()

    def hang(_: int) -> Iterator[Item]:
        stop.set()
        held.wait(60.0)
        hangs.set()
        yield from ()

    crawler = Crawler(
        [Scheduled(FakeSource(name, hang), 1.0) for name in ("stuck", "waiting")],
        publisher(InMemoryProducer()),
        stop=stop,
        workers=1,
        max_backoff=1.0,
        last_reads_seconds=0.1,
    )
    crawler.run()
    try:
        assert not hangs.is_set()
        assert [record.message for record in caplog.records] == ["a read hangs and is left behind source=stuck"]
    finally:
        held.set()


def test_a_lost_broker_ends_the_crawler() -> None:
    producer = InMemoryProducer()
    producer.fail("Kafka lost it")
    with (
        pytest.raises(BrokerError, match="Kafka lost it"),
        crawling(producer, FakeSource("any", gives(document()))) as thread,
    ):
        thread.join(30.0)


def test_settings_become_sources() -> None:
    web = Web()
    settings = IngestSettings(
        sources=(
            FeedSource(name="wire", url="https://wire.example/rss", every_seconds=30),
            JsonApiSource(name="chirp", url="https://social.example/api", every_seconds=5),
        )
    )
    made = make_sources(settings, publisher(InMemoryProducer()), web.fetcher)
    assert [(scheduled.source.name, scheduled.source.kind, scheduled.every) for scheduled in made] == [
        ("wire", "news", 30.0),
        ("chirp", "social", 5.0),
    ]


def test_the_page_of_a_published_document_is_not_fetched_again() -> None:
    feed, page = "https://wire.example/rss", "https://wire.example/1"
    entry = f"<item><title>Bank shut</title><link>{page}</link></item>"
    web = Web({feed: httpx.Response(200, text=f'<rss version="2.0"><channel>{entry}</channel></rss>')})
    publish = publisher(InMemoryProducer())
    settings = IngestSettings(sources=(FeedSource(name="wire", url=feed, articles=True),))
    (made,) = make_sources(settings, publish, web.fetcher)
    for _ in range(2):
        read_source(made.source, publish, stop=Event())
    assert (web.asked.count(feed), web.asked.count(page)) == (2, 1)


def test_a_crawler_without_sources_says_so() -> None:
    with pytest.raises(InputError, match="no sources are configured"):
        run_crawler(IngestSettings(), BrokerSettings(), Topics(TopicSettings()), port=0, stop=Event())
