"""What a run needs: is it there, does it work, is it fast enough, and what to do about it where not."""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from deploy.check import Check
from deploy.durability import judge
from deploy.errors import FinSentryError
from deploy.local.folders import latest_folder
from deploy.local.jars import default_cache, find_java, find_maven, holds_kafka, jars_folder
from deploy.local.kafka import find_running
from deploy.local.processes import port_is_taken
from deploy.settings import Settings, variable
from model.settings import ModelSettings
from stream.broker import BrokerSettings, admin_client, missing_topics
from stream.replication import OFFSETS, read_replication
from stream.topics import Topics

GIGABYTE = 1_000_000_000
LEAST_DISK_BYTES = 1 * GIGABYTE
"""A week of headlines and Kafka's own files; with less than this a run may stop in the middle."""
SLOW_TEXTS_PER_SECOND = 100.0
"""A desk with thousands of sources publishes a few documents a second; a fifth of slow cores' pace hints at a fault."""
BROKER_SECONDS = 5.0

SAMPLE = (
    "Regulator shuts down lender after run on deposits",
    "Chipmaker raises its outlook as orders for data centres pile up",
    "Central bank leaves interest rates where they are, as expected",
    "Airline warns of a deeper loss and suspends its dividend for the rest of the year",
)
MEASURED = 64


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, each given as soon as it is done. Starts no server and changes nothing."""
    yield from _kafka(settings)
    yield _guarded("bundle", lambda: _bundle("bundle", settings.model))
    for language, folder in settings.model.languages.items():
        name = f"bundle {language}"
        yield _guarded(name, partial(_bundle, name, settings.model.model_copy(update={"bundle": folder})))
    yield from _ports(settings)
    yield from _programs()
    yield _disk(settings.data_folder)


def _kafka(settings: Settings) -> Iterator[Check]:
    if settings.kafka.bootstrap_servers:
        yield from _broker(settings, settings.kafka)
        return
    yield _guarded("java", lambda: Check("java", "ok", str(find_java())))
    jars = jars_folder(default_cache())
    if holds_kafka(jars):
        yield Check("kafka jars", "ok", str(jars))
    else:
        yield _guarded("kafka jars", _maven)
    latest = latest_folder(settings.data_folder)
    running = find_running(latest.kafka) if latest else None
    if running:
        yield from _broker(settings, running)
    else:
        key = variable("kafka.bootstrap_servers")
        yield Check("broker", "note", "none is configured or runs", f"`finsentry up` brings its own; or set {key}")


def _maven() -> Check:
    maven = find_maven()
    return Check("kafka jars", "note", f"not copied yet, {maven} will do it", "run `finsentry up` once with a network")


def _broker(settings: Settings, broker: BrokerSettings) -> Iterator[Check]:
    def reach() -> Check:
        started = time.monotonic()
        with admin_client(broker, timeout_seconds=BROKER_SECONDS) as client:
            client.list_topics()
        return Check("broker", "ok", f"{broker.bootstrap_servers} answered in {time.monotonic() - started:.2f} s")

    topics = Topics(settings.topics).all()

    def compare() -> Check:
        missing = missing_topics(broker, topics)
        if missing:
            return Check("topics", "note", f"not there yet: {', '.join(missing)}", "the first worker creates them")
        return Check("topics", "ok", f"all {len(topics)} are there, as asked")

    def keep() -> Iterator[Check]:
        found = read_replication(broker, [*(topic.name for topic in topics), OFFSETS])
        standing = {topic.name for topic in found.topics}
        to_make = [topic.name for topic in topics if topic.name not in standing]
        asked = settings.topics.replication_factor
        yield from judge(found, asked=asked, to_make=to_make, servers=broker.bootstrap_servers)

    reached = _guarded("broker", reach)
    yield reached
    if reached.state == "ok":
        yield _guarded("topics", compare)
        yield from _each_guarded("copies", keep)


def _bundle(name: str, settings: ModelSettings) -> Check:
    from model.classifier import Classifier

    with Classifier.load(settings) as classifier:
        texts = SAMPLE * (MEASURED // len(SAMPLE))
        classifier.classify(SAMPLE)  # the first run allocates
        started = time.monotonic()
        classifier.classify(texts)
        speed = len(texts) / (time.monotonic() - started)
        placed = classifier.placement
        found = (
            f"{classifier.version}, verified, {speed:,.0f} texts/s on {placed.provider}"
            f" ({placed.threads} x {placed.batch_tokens:,} tokens)"
        )
    if speed < SLOW_TEXTS_PER_SECOND:
        return Check(
            name,
            "note",
            found,
            "that is slow: is the machine busy? `finsentry doctor --tune` measures what would be faster",
        )
    return Check(name, "ok", found)


def _ports(settings: Settings) -> Iterator[Check]:
    local = settings.local
    wanted = {
        "console.port": settings.console.port,
        "local.kafka_port": local.kafka_port,
        "local.prometheus_port": local.prometheus_port,
        "local.alertmanager_port": local.alertmanager_port,
    }
    for key, port in wanted.items():
        if port == 0:
            continue
        if port_is_taken(port):
            yield Check(key, "note", f"port {port} is taken", f"by a running `finsentry up`? Otherwise set {key}")
        else:
            yield Check(key, "ok", f"port {port} is free")


def _programs() -> Iterator[Check]:
    for name, programs, package, what in (
        ("prometheus", ("prometheus",), "prometheus", "rules and boards"),
        ("alertmanager", ("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager", "notifications"),
        ("chromium", ("chromium", "google-chrome"), "chromium", "the browser tests"),
    ):
        found = next((path for program in programs if (path := shutil.which(program))), None)
        if found:
            yield Check(name, "ok", found)
        else:
            yield Check(name, "note", f"not installed; only {what} need it", f"Debian: apt-get install {package}")


def _disk(folder: Path) -> Check:
    standing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        what = "cannot be written to" if standing.is_dir() else "is no folder"
        return Check("disk", "broken", f"{standing} {what}", "set data_folder to a folder that this user may write to")
    free = shutil.disk_usage(standing).free
    found = f"{free / GIGABYTE:.1f} GB free for {folder}"
    if free < LEAST_DISK_BYTES:
        return Check("disk", "broken", found, "free some space, or put data_folder on another disk")
    return Check("disk", "ok", found)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    (check,) = _each_guarded(name, lambda: [look()])
    return check


def _each_guarded(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except FinSentryError as error:
        yield Check(name, "broken", error.message, error.fix)
