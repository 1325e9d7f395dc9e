"""The two hot loops without the promise, to see what a machine gives: `python -m tests.benchmarks.bare_loops OPTIONS`.

They read, decode, label, encode and append, and read, decode and count, with the product's clients, records and sizes,
in one process on one event loop. Nothing is looked at twice, late or dead, restored, or written to `windows`. What the
product takes beyond this is the price of the promise. They run until they are killed. `OPTIONS` are a `WorkerOptions`
as JSON.
"""

import asyncio
import logging
import sys
from collections import Counter
from time import monotonic

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from stream.broker import BrokerSettings
from stream.hot_loop import FETCH_MAX_WAIT_MS
from stream.records import Document, ScoredDocument, encode
from stream.settings import StreamSettings
from stream.topics import Topics
from stream.writing import Entry, append, open_producer
from tests.benchmarks.worker import Stub, WorkerOptions, measured_topics


def _open_consumer(broker: BrokerSettings, topics: Topics, stage: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        **broker.client_options(),
        group_id=topics.group(stage),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
    )


async def _score(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, topic: str, stub: Stub, most: int) -> None:
    decode = msgspec.json.Decoder(Document).decode
    while True:
        for place, records in (await consumer.getmany(timeout_ms=500, max_records=most)).items():
            documents = [decode(record.value) for record in records]
            entries = [
                Entry(
                    record.key,
                    encode(
                        ScoredDocument(
                            origin=record.offset,
                            watermark=document.published_at,
                            id=document.id,
                            story=document.story,
                            title=document.title,
                            url=document.url,
                            source=document.source,
                            source_kind=document.source_kind,
                            published_at=document.published_at,
                            topic=said.topic,
                            topic_probability=said.topic_probability,
                            sentiment=said.sentiment,
                            probabilities=said.probabilities,
                            model=stub.version,
                        )
                    ),
                    record.timestamp,
                )
                for record, document, said in zip(
                    records, documents, stub.classify([document.text for document in documents]), strict=True
                )
            ]
            await append(producer, topic, place.partition, entries)


async def _count(consumer: AIOKafkaConsumer, most: int, commit_seconds: float) -> None:
    decode = msgspec.json.Decoder(ScoredDocument).decode
    counts: Counter[tuple[str, str | None, int]] = Counter()
    committed = monotonic()
    while True:
        for records in (await consumer.getmany(timeout_ms=500, max_records=most)).values():
            for record in records:
                document = decode(record.value)
                assert document.published_at is not None
                counts[document.topic, document.sentiment, int(document.published_at.timestamp() // 60)] += 1
        if monotonic() - committed >= commit_seconds:
            await consumer.commit()  # by which the benchmark sees how far it is
            committed = monotonic()


async def _run(options: WorkerOptions) -> None:
    broker = BrokerSettings(bootstrap_servers=options.broker)
    topics = measured_topics(options.prefix, options.partitions, options.documents)
    settings = StreamSettings.model_validate(options.stream)
    documents = _open_consumer(broker, topics, "scoring", topics.documents.name)
    scored = _open_consumer(broker, topics, "aggregation", topics.scored.name)
    producer = open_producer(broker, client_id="bare-loops")
    for client in (documents, scored, producer):
        await client.start()
    await asyncio.gather(
        _score(documents, producer, topics.scored.name, Stub(options.topics), settings.batch_documents),
        _count(scored, settings.batch_scored, settings.flush_seconds),
    )


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=WorkerOptions)))


if __name__ == "__main__":
    main()
