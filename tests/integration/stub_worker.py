"""A worker process with a classifier that costs nothing: `python -m tests.integration.stub_worker BROKER PREFIX`."""

import json
import logging
import sys
import time
import zlib
from collections.abc import Sequence

from model.classifier import Prediction
from model.labels import SENTIMENTS, TOPICS
from stream.app import run_worker
from stream.broker import BrokerSettings
from stream.errors import FinSentryError
from stream.roles import RoleServer
from stream.settings import StreamSettings
from stream.topics import Topics, TopicSettings


class StubClassifier:
    """Labels by a hash of the text, salted with the process: another worker may see a document otherwise."""

    version = "stub"

    def __init__(self, seconds_a_batch: float) -> None:
        self._salt = str(time.time_ns()).encode()
        self._seconds = seconds_a_batch

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        time.sleep(self._seconds)
        return [self._label(text) for text in texts]

    def _label(self, text: str) -> Prediction:
        if "unreadable" in text:
            raise ValueError("the model cannot read this")
        number = zlib.crc32(self._salt + text.encode())
        negative = (number % 1000) / 1000
        return Prediction(TOPICS[number % 20], 0.9, SENTIMENTS[number % 3], (negative, 1 - negative, 0.0))


def main() -> int:
    broker, prefix, *more = sys.argv[1:]
    options = json.loads(more[0]) if more else {}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        run_worker(
            BrokerSettings(bootstrap_servers=broker),
            Topics(TopicSettings(prefix=prefix)),
            StreamSettings(**options.get("stream", {})),
            StubClassifier(options.get("seconds_a_batch", 0.0)),
            RoleServer("worker", 0),
        )
    except FinSentryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
