"""A worker process with classifiers that cost nothing: `python -m tests.integration.stub_worker BROKER PREFIX`."""

import json
import logging
import sys
import time
import zlib
from collections.abc import Sequence
from typing import Any

from model.classifier import Prediction
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS
from stream.app import run_worker
from stream.broker import BrokerSettings
from stream.errors import FinSentryError
from stream.live_model import LiveModel, Loaded
from stream.records import BundleRef
from stream.roles import RoleServer
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings


def label(salt: str, text: str) -> Prediction:
    """Labels by a hash of the text, another one for each salt."""
    number = zlib.crc32((salt + text).encode())
    negative = (number % 1000) / 1000
    return Prediction(TOPICS[number % 20], 0.9, SENTIMENTS[number % 3], (negative, 1 - negative, 0.0))


class StubClassifier:
    """Labels with a salt of its own: another worker may see a document otherwise, and always another version.

    Fails on texts with `fails_on` in them.
    """

    def __init__(
        self, seconds_a_batch: float = 0.0, *, version: str = "stub", salt: str = "", fails_on: str = "unreadable"
    ) -> None:
        self.version = version
        self._salt = salt or str(time.time_ns())
        self._seconds = seconds_a_batch
        self._fails_on = fails_on

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        time.sleep(self._seconds)
        if any(self._fails_on in text for text in texts):
            raise ValueError("the model cannot read this")
        return [label(self._salt, text) for text in texts]


def load_stub(seconds_a_batch: float, own: str) -> Any:
    """Opens stubs: a bundle's `folder` holds what they do, as JSON. A stub's salt is its version."""

    def load(wanted: BundleRef | None) -> StubClassifier:
        if wanted is None:
            return StubClassifier(seconds_a_batch, version=own, salt=own)
        options = json.loads(wanted.folder)
        if options.pop("damaged", False):
            raise BundleError(f"{wanted.version}: damaged", fix="restore it")
        return StubClassifier(seconds_a_batch, version=wanted.version, salt=wanted.version, **options)

    return load


def stub_bundle(version: str, **options: Any) -> BundleRef:
    """What to promote: `damaged=True` does not load, `fails_on="..."` fails on such texts."""
    return BundleRef(folder=json.dumps(options), version=version)


def main() -> int:
    broker, prefix, *more = sys.argv[1:]
    options = json.loads(more[0]) if more else {}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    seconds, own = options.get("seconds_a_batch", 0.0), options.get("version", "stub")
    try:
        run_worker(
            BrokerSettings(bootstrap_servers=broker),
            Topics(TopicSettings(prefix=prefix)),
            StreamSettings(**options.get("stream", {})),
            LiveModel(Loaded(None, StubClassifier(seconds, version=own, salt=own if "version" in options else ""))),
            RoleServer("worker", options.get("port", 0)),
            load=load_stub(seconds, own),
        )
    except FinSentryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
