"""Documents for measurements, and the quickest way to get them into Kafka: whole batches a partition."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from stream.broker import BrokerSettings
from stream.records import Document, encode
from stream.topics import Topic
from stream.writing import Entry, append, open_producer

AT_ONCE = 10_000
TICK_SECONDS = 0.01


def document(place: int, text: str, published_at: datetime, *, story: int | None = None) -> Document:
    """One as a feed brings it; another's `story` makes it a copy of that one."""
    return Document(
        id=f"{place:032x}",
        title=text[:90],
        text=text,
        url=f"https://news.example/finance/{place:012d}/a-story-about-a-lender",
        source="wire",
        source_kind="news",
        language="en",
        published_at=published_at,
        fetched_at=published_at,
        story=f"{place if story is None else story:032x}",
    )


def past_documents(texts: Sequence[str], *, span: timedelta) -> Iterable[Document]:
    """In event order over `span`, which ends now; every third is a copy of the story before it."""
    begin = datetime.now(UTC) - span
    for place, text in enumerate(texts):
        copied = place - 1 if place % 3 == 2 else None
        yield document(place, text, begin + span * (place / len(texts)), story=copied)


def partition_of(item: Document, partitions: int) -> int:
    """Copies of a story meet."""
    return zlib.crc32(item.story.encode()) % partitions


async def publish_all(broker: BrokerSettings, topic: Topic, documents: Iterable[Document]) -> int:
    """Writes the documents and returns how many, once all are acknowledged."""
    producer = open_producer(broker, client_id="benchmark-feed")
    await producer.start()
    written = 0
    source = iter(documents)
    try:
        while some := list(islice(source, AT_ONCE)):
            parts: dict[int, list[Entry]] = defaultdict(list)
            for item in some:
                parts[partition_of(item, topic.partitions)].append(Entry(item.story.encode(), encode(item)))
            await asyncio.gather(*(append(producer, topic.name, p, entries) for p, entries in parts.items()))
            written += len(some)
    finally:
        await producer.stop()
    return written


async def feed(
    broker: BrokerSettings,
    topic: Topic,
    texts: Sequence[str],
    *,
    rate: float,
    seconds: float,
    first: int = 0,
    stopped: Callable[[], bool] = lambda: False,
    watch: Callable[[int], None] = lambda _sent: None,
) -> int:
    """Writes `rate` documents a second, evenly, whatever becomes of them; event time is now. Returns how many.

    `first` numbers the first; `watch` is told how many have been acknowledged so far.
    """
    producer = open_producer(broker, client_id="benchmark-feed")
    await producer.start()
    loop = asyncio.get_running_loop()
    began = loop.time()
    sent = 0
    try:
        while (passed := loop.time() - began) < seconds and not stopped():
            due = int(rate * passed) - sent
            parts: dict[int, list[Entry]] = defaultdict(list)
            now = datetime.now(UTC)
            for place in range(sent, sent + due):
                item = document(first + place, texts[place % len(texts)], now)
                parts[partition_of(item, topic.partitions)].append(Entry(item.story.encode(), encode(item)))
            await asyncio.gather(*(append(producer, topic.name, p, entries) for p, entries in parts.items()))
            sent += due
            watch(sent)
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await producer.stop()
    return sent
