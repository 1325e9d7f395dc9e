"""Documents that come late, shuffled, by wrong clocks or from two sources are counted where they belong."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from ingest.identity import document_id
from ingest.publisher import Outcome, open_publisher
from ingest.settings import IngestSettings
from stream.broker import BrokerSettings
from stream.records import Document
from stream.settings import StreamSettings
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.logs import read_windows
from tests.integration.streaming import (
    NOW,
    SLOW,
    StartWorker,
    as_records,
    counts,
    documents,
    offline,
    publish,
    slow_for,
    wait_until_it_holds,
)
from tests.integration.streaming import wait_for_documents as wait

LATENESS = timedelta(minutes=StreamSettings().lateness_minutes)
WORDS = (
    "bank",
    "rate",
    "loan",
    "debt",
    "bond",
    "yield",
    "fund",
    "cash",
    "merger",
    "profit",
    "tax",
    "oil",
    "chip",
    "court",
)


def disturbed(total: int, random: Random) -> list[Document]:
    """Shuffled over an hour and a half; some hours late, some by clocks an hour fast or slow."""
    now = datetime.now(UTC)  # what is later than the broker's own clock is taken to be as late as that
    shuffled = documents(total)
    random.shuffle(shuffled)
    found = []
    for place, document in enumerate(shuffled):
        event = now - timedelta(minutes=90) + timedelta(minutes=60 * place / total, seconds=random.uniform(-1500, 1500))
        if place % 10 == 3:
            event -= timedelta(hours=random.uniform(1, 30))
        elif place % 10 == 6:
            event -= timedelta(hours=1)
        elif place % 10 == 9 and place > total // 2:
            event += timedelta(hours=2)  # later than it is appended
        found.append(msgspec.structs.replace(document, published_at=event))
    return found


def expected(kafka: BrokerSettings, topics: Topics) -> tuple[dict[tuple[int, int], tuple[int, int]], Counter[int]]:
    """Documents and stories by partition and minute, and the late ones by partition, told from `documents` alone."""
    minutes: dict[tuple[int, int], tuple[int, int]] = {}
    late: Counter[int] = Counter()
    watermarks: dict[int, datetime] = {}
    for record in read_topic(kafka, topics.documents):
        document = msgspec.json.decode(record.value, type=Document)
        event = min(document.published_at, datetime.fromtimestamp(record.timestamp / 1000, UTC))
        watermark = watermarks[record.partition] = max(event, watermarks.get(record.partition, event))
        if event < watermark - LATENESS:
            late[record.partition] += 1
            continue
        place = (record.partition, int(event.timestamp() // 60))
        held = minutes.get(place, (0, 0))
        minutes[place] = (held[0] + 1, held[1] + (document.story == document.id))
    return minutes, late


@pytest.mark.timeout(240)
def test_late_and_shuffled_documents_and_wrong_clocks_are_counted_as_the_log_of_documents_says(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    total = 6000
    items = disturbed(total, Random(3))
    workers = [start_worker(**slow_for(6.0, total // 2, workers=2)) for _ in range(2)]
    publish(kafka, topics, as_records(items[: total // 2]))
    wait(kafka, topics, total // 10, seconds=40)
    wait_until_it_holds(tmp_path / "worker-0.log", "scoring", "aggregation")
    workers[0].kill()  # the next owner has no other watermark than the one committed
    workers[0].wait()
    publish(kafka, topics, as_records(items[total // 2 :]))
    wait(kafka, topics, total, seconds=60)

    buckets, checkpoints = read_windows(kafka, topics)
    assert counts(buckets) == counts(offline(kafka, topics))
    minutes: dict[tuple[int, int], tuple[int, int]] = {}
    for (partition, _), bucket in buckets.items():
        place = (partition, int(bucket.minute.timestamp() // 60))
        held = minutes.get(place, (0, 0))
        minutes[place] = (held[0] + bucket.documents, held[1] + bucket.stories)
    said, late = expected(kafka, topics)
    assert minutes == said
    assert {partition: checkpoint.late for partition, checkpoint in checkpoints.items()} == late
    assert total // 20 < late.total() < total // 2, "the test tests little"
    assert all(checkpoint.watermark <= datetime.now(UTC) for checkpoint in checkpoints.values()), "a clock was believed"


def story(source: str, text: str, event: datetime) -> Document:
    key = document_id(source, native_id="", content=text)
    return Document(
        id=key,
        story=key,
        text=text,
        source=source,
        source_kind="news",
        published_at=event,
        fetched_at=event + timedelta(minutes=1),
    )


@pytest.mark.timeout(120)
def test_a_document_from_two_sources_is_two_documents_and_one_story(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker
) -> None:
    random, stories = Random(9), 200
    start_worker(**SLOW)
    outcomes: Counter[Outcome] = Counter()
    with open_publisher(IngestSettings(), kafka, topics) as publisher:
        for place in range(stories):
            text = f"{' '.join(random.choices(WORDS, k=14))} number {place}".capitalize()
            event = NOW - timedelta(minutes=50) + timedelta(seconds=10 * place)
            first = story("wire", text, event)
            # The other source's clock is half an hour slow or fast; and each is crawled twice.
            second = story("paper", f"{text} | Paper", event + timedelta(minutes=random.choice((-30, 30))))
            outcomes.update(publisher.publish(item) for item in (first, second, first, second))
    assert outcomes == {Outcome.PUBLISHED: stories, Outcome.COPY: stories, Outcome.DUPLICATE: 2 * stories}
    wait(kafka, topics, 2 * stories, seconds=40)
    buckets, checkpoints = read_windows(kafka, topics)
    assert sum(bucket.documents for bucket in buckets.values()) == 2 * stories
    assert sum(bucket.stories for bucket in buckets.values()) == stories
    assert sum(bucket.negative_stories for bucket in buckets.values()) == sum(
        bucket.negative_stories for bucket in offline(kafka, topics).values()
    )
    assert sum(checkpoint.late for checkpoint in checkpoints.values()) == 0
