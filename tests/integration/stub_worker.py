"""A worker process with classifiers that cost nothing: `python -m tests.integration.stub_worker BROKER PREFIX`."""

import asyncio
import itertools
import json
import logging
import math
import os
import re
import signal
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiokafka
import aiokafka.admin
import msgspec

from model.classifier import Prediction, TextClassifier
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS
from model.routing import DEFAULT
from stream import hot_loop
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


class Mood(msgspec.Struct, frozen=True, kw_only=True):
    """How a stub is at the moment. A test that changes it writes it to a file, which is read before every batch."""

    seconds_a_batch: float = 0.0
    largest_batch: int = 1_000_000
    """Fails on more texts, as one whose memory they do not fit in."""
    sick: bool = False
    """Fails on everything."""

    def write(self, path: Path) -> None:
        """Puts the stubs that were started with `mood=path` into this mood, from their next batch on."""
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(msgspec.json.encode(self))
        unfinished.replace(path)


class StubClassifier(TextClassifier):
    """Labels with a salt of its own: another worker may see a document otherwise, and always another version.

    Fails on texts with `fails_on` in them, and gives no finite number for those with `nan_on`.
    """

    def __init__(
        self,
        seconds_a_batch: float = 0.0,
        *,
        version: str = "stub",
        salt: str = "",
        fails_on: str = "unreadable",
        nan_on: str = "incalculable",
        mood: str = "",
    ) -> None:
        self.version = version
        self._salt = salt or str(time.time_ns())
        self._mood = Mood(seconds_a_batch=seconds_a_batch)
        self._mood_file = Path(mood) if mood else None
        self._fails_on = fails_on
        self._nan_on = nan_on

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        mood = msgspec.json.decode(self._mood_file.read_bytes(), type=Mood) if self._mood_file else self._mood
        time.sleep(mood.seconds_a_batch)
        if mood.sick:
            raise RuntimeError("the accelerator does not answer")
        if len(texts) > mood.largest_batch:
            raise MemoryError(f"no room for {len(texts)} texts")
        if any(self._fails_on in text for text in texts):
            raise ValueError("the model cannot read this")
        found = [label(self._salt, text) for text in texts]
        return [
            one._replace(probabilities=(math.nan, 0.5, 0.5)) if self._nan_on in text else one
            for one, text in zip(found, texts, strict=True)
        ]


def load_stub(seconds_a_batch: float, own: str) -> Any:
    """Opens stubs: a bundle's `folder` holds what they do, as JSON. A stub's salt is its version."""

    def load(wanted: BundleRef | None, slot: str = DEFAULT, /) -> StubClassifier:
        if wanted is None:
            version = f"{own}-{slot}" if slot else own
            return StubClassifier(seconds_a_batch, version=version, salt=version)
        options = json.loads(wanted.folder)
        if options.pop("damaged", False):
            raise BundleError(f"{wanted.version}: damaged", fix="restore it")
        return StubClassifier(seconds_a_batch, version=wanted.version, salt=wanted.version, **options)

    return load


def stub_bundle(version: str, **options: Any) -> BundleRef:
    """What to promote: `damaged=True` does not load, `fails_on="..."` fails on such texts."""
    return BundleRef(folder=json.dumps(options), version=version)


def method_of(method: str) -> tuple[type, str, Callable[[Any], bool]]:
    """The class and the name of a method of aiokafka, and whether a client is that loop's.

    `method` names all three: `scoring/AIOKafkaConsumer.getmany`.
    """
    loop, owner_name, name = re.split(r"[/.]", method)
    owner = next(getattr(module, owner_name) for module in (aiokafka, aiokafka.admin) if hasattr(module, owner_name))

    def is_its(client: Any) -> bool:
        inner = client.client if isinstance(client, aiokafka.AIOKafkaProducer) else client._client
        return bool(inner._client_id.startswith(f"finsentry-{loop}"))

    return owner, name, is_its


def freeze_once(method: str, at_call: int) -> None:
    """Stops this process by SIGSTOP before the `at_call`th call of a method by one loop, which it does once awake."""
    owner, name, is_its = method_of(method)
    real, calls = getattr(owner, name), itertools.count(1)

    async def freezing(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_its(self) and next(calls) == at_call:
            os.kill(os.getpid(), signal.SIGSTOP)
        return await real(self, *args, **kwargs)

    setattr(owner, name, freezing)


def fail_once(method: str, at_call: int) -> None:
    """Makes the `at_call`th call of a method by one loop raise.

    An even call before anything is done, an odd one after it: both must be survived.
    """
    owner, name, is_its = method_of(method)
    real = getattr(owner, name)
    calls, is_due = itertools.count(1), True

    async def failing(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal is_due
        if not is_its(self) or next(calls) < at_call or not is_due:
            return await real(self, *args, **kwargs)
        if at_call % 2:
            answer = await real(self, *args, **kwargs)  # one that is cancelled here leaves it to the next
            if not is_due:  # another one came in between
                return answer
        is_due = False
        logging.getLogger("faults").warning("injected method=%s call=%d", method, at_call)
        raise RuntimeError(f"injected into {method}")

    setattr(owner, name, failing)


def fail_answer_once(method: str, at_call: int) -> None:
    """Makes the future raise, once, that the `at_call`th call of a method by one loop gives.

    An even one at once, so that what was asked may still be done later; an odd one when it is done.
    """
    owner, name, is_its = method_of(method)
    real = getattr(owner, name)
    calls, is_due = itertools.count(1), True

    async def answering(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await real(self, *args, **kwargs)
        if not is_its(self) or next(calls) < at_call or not is_due:
            return answer

        async def failing() -> None:
            nonlocal is_due
            if at_call % 2 or not is_due:
                await answer
            if not is_due:  # another one failed in between
                return
            is_due = False
            logging.getLogger("faults").warning("injected method=%s answer=%d", method, at_call)
            raise RuntimeError(f"injected into the answer of {method}")

        return asyncio.ensure_future(failing())

    setattr(owner, name, answering)


def main() -> int:
    broker, prefix, *more = sys.argv[1:]
    options = json.loads(more[0]) if more else {}
    if "backoff_seconds" in options:
        hot_loop.BACKOFF_SECONDS = tuple(options["backoff_seconds"])
    for method, at_call in options.get("fail", []):
        fail_once(method, at_call)
    for method, at_call in options.get("fail_answer", []):
        fail_answer_once(method, at_call)
    for method, at_call in options.get("freeze", []):
        freeze_once(method, at_call)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    seconds, own = options.get("seconds_a_batch", 0.0), options.get("version", "stub")
    stub = StubClassifier(
        seconds,
        version=own,
        salt=own if "version" in options else "",
        **{name: options[name] for name in ("fails_on", "nan_on", "mood") if name in options},
    )
    load = load_stub(seconds, own)
    try:
        run_worker(
            BrokerSettings(bootstrap_servers=broker),
            Topics(TopicSettings(prefix=prefix)),
            StreamSettings(**options.get("stream", {})),
            LiveModel(
                Loaded(None, stub),
                {language: Loaded(None, load(None, language)) for language in options.get("languages", ())},
            ),
            RoleServer("worker", options.get("port", 0)),
            load=load,
        )
    except FinSentryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
