"""The worker: a Faust app that carries the two hot loops, and the process that runs it."""

import asyncio
import gc
import logging
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import faust
import uvloop
from faust.app.base import BootStrategy

from model.classifier import TextClassifier
from stream.aggregation_service import AggregationService
from stream.broker import BrokerSettings, ensure_topics
from stream.classifying import Classifying
from stream.control_service import ControlService
from stream.hot_loop import HotLoop, Outcome
from stream.live_model import LiveModel
from stream.loading import Load
from stream.metrics import begin_counting
from stream.roles import RoleServer
from stream.scoring_service import ScoringService
from stream.settings import StreamSettings
from stream.topics import Topics

logger = logging.getLogger(__name__)

CONTROL_SECONDS = 60.0
"""How long scoring waits to hear which bundle is live; a bundle of some hundred MB loads in a few seconds."""


YOUNG_OBJECTS = 50_000
"""Made since the garbage collector last looked, and not freed: more than a worker holds of a few full batches."""


class LoopsOnly(BootStrategy):
    """Starts the app's services alone: the loops bring their own Kafka clients, and metrics their own server."""

    enable_kafka = False
    enable_web = False
    enable_sensors = False


def build_app(broker: BrokerSettings, topics: Topics, folder: str) -> faust.App:
    """The Faust app, without services yet: what is added to it starts and stops with it.

    Faust wants a `folder` for tables, of which there are none.
    """
    app = faust.App(
        topics.group("worker"),
        broker=[f"kafka://{server}" for server in broker.servers()],
        store="memory://",
        datadir=folder,
        web_enabled=False,
        # A worker that waits for its streams to empty was seen to hang at its end.
        stream_wait_empty=False,
    )
    app.boot_strategy = LoopsOnly(app)
    return app


def run_worker(
    broker: BrokerSettings,
    topics: Topics,
    settings: StreamSettings,
    live: LiveModel,
    server: RoleServer,
    *,
    load: Load[TextClassifier],
) -> None:
    """Scores and counts until SIGINT or SIGTERM; starts and stops `server`.

    `live` begins with the classifiers of the settings; what `control` asks for is opened by `load` and takes its place.
    Raises `BrokerError` where Kafka cannot be reached at the start, and what ended a loop that cannot go on.
    """
    begin_counting()
    ensure_topics(broker, topics.all())
    server.start()
    try:
        with rarely_collecting():
            outcome = uvloop.run(_serve(broker, topics, settings, live, server, load))
    finally:
        server.stop()
    if outcome.cause is not None:
        raise outcome.cause


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Lets Python look for garbage in cycles after many more objects than it does by default, and not in what stands.

    A batch is thousands of young objects that live until it is written and are in no cycle; looking through them every
    700 objects, and through all modules and the model now and then, took a tenth of the worker's time.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def _serve(
    broker: BrokerSettings,
    topics: Topics,
    settings: StreamSettings,
    live: LiveModel,
    server: RoleServer,
    load: Load[TextClassifier],
) -> Outcome:
    stop = asyncio.Event()
    outcome = Outcome(on_failure=stop.set)
    classifying = Classifying(live, settings)
    scoring = ScoringService(broker, topics, settings, outcome, classifying)
    aggregation = AggregationService(broker, topics, settings, outcome)
    control = ControlService(broker, topics, classifying, load, max_text_bytes=settings.max_text_bytes)
    classifying.watch, classifying.judged = control.observe, control.judged
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    # Faust makes folders for tables as it starts, and there are no tables: a worker that is killed leaves nothing.
    with tempfile.TemporaryDirectory(prefix="finsentry-") as folder:
        app = build_app(broker, topics, folder)
        await app.start()
    await app.add_runtime_dependency(aggregation)
    await app.add_runtime_dependency(control)
    await _first(stop, control.caught_up, seconds=CONTROL_SECONDS)
    if not control.caught_up.is_set() and not stop.is_set():
        logger.error("control is not read yet, scoring with the bundle of the settings meanwhile")
    await app.add_runtime_dependency(scoring)
    announce = asyncio.ensure_future(_announce([scoring, aggregation], server))
    await stop.wait()
    announce.cancel()
    # Side by side: where the broker is away, each waits for it as long as it may.
    await asyncio.gather(*(service.stop() for service in (scoring, control, aggregation)))
    classifying.end()  # after the rounds that ask it
    await app.stop()
    return outcome


async def _first(*events: asyncio.Event, seconds: float) -> None:
    """Returns when one of the events is set, or none within this time."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waiting:
        wait.cancel()


async def _announce(loops: list[HotLoop], server: RoleServer) -> None:
    for loop in loops:
        await loop.ready.wait()
    server.ready()
    logger.info("ready role=worker")
