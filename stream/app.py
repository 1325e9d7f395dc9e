"""The worker: a Faust app that carries the two hot loops, and the process that runs it."""

import asyncio
import logging
import signal
import tempfile

import faust
import uvloop
from faust.app.base import BootStrategy

from model.classifier import TextClassifier
from stream import metrics
from stream.aggregation_service import AggregationService
from stream.broker import BrokerSettings, ensure_topics
from stream.hot_loop import HotLoop, Outcome
from stream.roles import RoleServer
from stream.scoring_service import ScoringService
from stream.settings import StreamSettings
from stream.topics import Topics

logger = logging.getLogger(__name__)


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
    classifier: TextClassifier,
    server: RoleServer,
    *,
    provider: str = "cpu",
) -> None:
    """Scores and counts until SIGINT or SIGTERM; starts and stops `server`.

    Raises `BrokerError` where Kafka cannot be reached at the start, and what ended a loop that cannot go on.
    """
    ensure_topics(broker, topics.all())
    server.start()
    metrics.MODEL_INFO.labels(classifier.version, provider).set(1)
    try:
        outcome = uvloop.run(_serve(broker, topics, settings, classifier, server))
    finally:
        server.stop()
    if outcome.cause is not None:
        raise outcome.cause


async def _serve(
    broker: BrokerSettings,
    topics: Topics,
    settings: StreamSettings,
    classifier: TextClassifier,
    server: RoleServer,
) -> Outcome:
    stop = asyncio.Event()
    outcome = Outcome(on_failure=stop.set)
    loops: list[HotLoop] = [
        ScoringService(broker, topics, settings, outcome, classifier),
        AggregationService(broker, topics, settings, outcome),
    ]
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    with tempfile.TemporaryDirectory(prefix="finsentry-") as folder:
        app = build_app(broker, topics, folder)
        await app.start()
        for loop in loops:
            await app.add_runtime_dependency(loop)
        announce = asyncio.ensure_future(_announce(loops, server))
        await stop.wait()
        announce.cancel()
        await app.stop()
    return outcome


async def _announce(loops: list[HotLoop], server: RoleServer) -> None:
    for loop in loops:
        await loop.ready.wait()
    server.ready()
    logger.info("ready role=worker")
