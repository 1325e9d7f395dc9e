"""A worker process to be measured: `python -m tests.benchmarks.worker OPTIONS`, which are a `WorkerOptions` as JSON.

It is the product's worker, run by `stream.app`; only its classifier may be one that costs nothing.
"""

import logging
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from model.classifier import Prediction, TextClassifier
from model.labels import SENTIMENTS, TOPICS
from model.routing import DEFAULT
from model.settings import ModelSettings
from stream.app import run_worker
from stream.broker import BrokerSettings
from stream.errors import FinSentryError
from stream.live_model import LiveModel, Loaded
from stream.loading import Load, bundle_loader
from stream.records import BundleRef
from stream.roles import RoleServer
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings
from tests.benchmarks.sampling import Sampler


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and over which topics."""

    broker: str
    prefix: str
    documents: str
    """Prefix of the topic that is read: many runs read the same documents."""
    partitions: int
    bundle: str | None = None
    """A folder, empty for the shipped bundle; None for a stub."""
    topics: int = 20
    """How many the stub tells apart."""
    stream: dict[str, float] = {}
    """Section `stream` of the settings."""
    port: int = 0
    profile: str = ""
    """File that a profile is written to at the end."""


class Stub(TextClassifier):
    """Labels by a hash of the text, looked up: what is left is the cost of the stream."""

    version = "stub"

    def __init__(self, topics: int) -> None:
        names = TOPICS if topics == len(TOPICS) else tuple(f"topic-{number:05d}" for number in range(topics))
        self._table = [
            Prediction(names[n % topics], 0.9, SENTIMENTS[n // topics % 3], (round(n % 997 / 997, 6), 0.001, 0.0))
            for n in range(topics * 3 * 97)
        ]

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        table, size = self._table, len(self._table)
        return [table[zlib.crc32(text.encode()) % size] for text in texts]


def measured_topics(prefix: str, partitions: int, documents: str) -> Topics:
    """Topics under `prefix`, with the documents of another prefix."""
    topics = Topics(TopicSettings(prefix=prefix, partitions=partitions))
    topics.documents = Topics(TopicSettings(prefix=documents, partitions=partitions)).documents
    return topics


def main() -> int:
    options = msgspec.json.decode(sys.argv[1], type=WorkerOptions)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    load: Load[TextClassifier]
    if options.bundle is None:

        def load_stub(_wanted: BundleRef | None, _slot: str = DEFAULT, /) -> TextClassifier:
            return Stub(options.topics)

        load = load_stub
    else:
        load = bundle_loader(ModelSettings(bundle=Path(options.bundle) if options.bundle else None))
    sampler = Sampler()
    try:
        live = LiveModel(Loaded(None, load(None)))
        if options.profile:
            sampler.start()
        run_worker(
            BrokerSettings(bootstrap_servers=options.broker),
            measured_topics(options.prefix, options.partitions, options.documents),
            StreamSettings.model_validate(options.stream),
            live,
            RoleServer("worker", options.port),
            load=load,
        )
    except FinSentryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        if options.profile:
            sampler.stop()
            sampler.write(Path(options.profile))
    return 0


if __name__ == "__main__":
    sys.exit(main())
