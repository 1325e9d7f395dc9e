"""The archive of a real topic: exactly its documents, also when whoever writes it is killed again and again."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from time import monotonic, sleep

import msgspec
import pandas as pd
import pytest

from deploy.local.processes import Process
from stream.archive import Entry, Shelf, parts_in, write_parts
from stream.broker import BrokerSettings, ensure_topics
from stream.records import ScoredDocument
from stream.snapshot import read_topic
from stream.topics import Topics
from tests.integration.commands import Finsentry
from tests.integration.streaming import NOW, StartWorker, as_records, documents, publish, wait_for_documents

TOTAL = 6000


def wait_for_more_files(folder: Path, archiver: Process, *, seconds: float = 30) -> None:
    """Until the archiver has put something away: how long it takes to start is the machine's affair."""
    before, until = len(parts_in(folder)), monotonic() + seconds
    while len(parts_in(folder)) == before:
        assert archiver.running, archiver.output()
        assert monotonic() < until, f"nothing was archived within {seconds:.0f} s"
        sleep(0.05)


@pytest.mark.timeout(180)
def test_an_archive_that_is_killed_holds_every_document_once(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, finsentry: Finsentry, tmp_path: Path
) -> None:
    random = Random(7)
    folder = tmp_path / "archive"
    start_worker(seconds_a_batch=0.1, stream={"batch_documents": 64})
    published = as_records(documents(TOTAL))
    for first in range(0, 4400, 1100):
        publish(kafka, topics, published[first : first + 1100])
        process = finsentry.start("archive", folder, "--follow", "--every", "1", "--rows", "300")
        wait_for_more_files(folder, process)
        sleep(random.uniform(0.0, 1.0))
        process.kill()
    publish(kafka, topics, published[4400:])
    wait_for_documents(kafka, topics, TOTAL, seconds=60)

    done = finsentry.run("archive", folder, "--json")
    assert done.returncode == 0, done.stderr
    rest = json.loads(done.stdout)["documents"]
    assert 1600 <= rest < TOTAL, "what was archived before the kills was not archived anew"

    frame = pd.read_parquet(folder)
    kept = {
        (record.partition, document.origin): document.id
        for record in read_topic(kafka, topics.scored)
        for document in [msgspec.json.decode(record.value, type=ScoredDocument)]
    }
    found = Counter(zip(frame["partition"], frame["origin"], frame["id"], strict=True))
    assert found == Counter((partition, origin, name) for (partition, origin), name in kept.items())
    assert json.loads(finsentry.run("archive", folder, "--json").stdout)["documents"] == 0


@pytest.mark.timeout(120)
def test_a_backtest_of_the_archive_equals_one_of_the_topic(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, finsentry: Finsentry, tmp_path: Path
) -> None:
    folder, dumped = tmp_path / "archive", tmp_path / "scored.jsonl"
    start_worker()
    publish(kafka, topics, [*as_records(documents(2000)), *as_records(documents(3, text="unreadable"))])
    wait_for_documents(kafka, topics, 2003, seconds=60)
    dumped.write_text(finsentry.run("dump", "scored").stdout)
    assert finsentry.run("archive", folder).returncode == 0

    windows = {}
    for scored in (folder, dumped):
        written = tmp_path / f"{scored.name}.windows"
        done = finsentry.run("backtest", "--scored", scored, "--windows", written, "--json")
        assert done.returncode == 0, done.stderr
        windows[scored] = written.read_bytes()
    assert windows[folder] == windows[dumped] != b""


@pytest.mark.timeout(120)
def test_a_second_folder_gets_all_that_the_topic_has_and_a_full_disk_is_named(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, finsentry: Finsentry, tmp_path: Path
) -> None:
    start_worker()
    publish(kafka, topics, as_records(documents(300)))
    wait_for_documents(kafka, topics, 300, seconds=60)
    for folder in ("one", "other"):
        done = finsentry.run("archive", tmp_path / folder, "--json")
        assert json.loads(done.stdout)["documents"] == 300, done.stderr

    full = tmp_path / "full"
    full.mkdir()
    for day in {part.day for part in parts_in(tmp_path / "one")}:
        (full / f"day={day}").symlink_to("/dev/full")
    done = finsentry.run("archive", full)
    assert done.returncode == 1
    assert f"{full}: cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_topic_that_was_made_anew_is_not_archived_into_the_old_folder(
    kafka: BrokerSettings, topics: Topics, finsentry: Finsentry, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    document = ScoredDocument(origin=7, watermark=NOW, id="a", story="a", published_at=NOW, topic="Macro")
    write_parts(folder, 0, [Entry(0, 7, NOW, document)], Shelf(0, -1), 8)
    ensure_topics(kafka, topics.all())

    done = finsentry.run("archive", folder)
    assert done.returncode == 2
    assert "ends at 0: it was made anew" in done.stderr
    assert "Traceback" not in done.stderr
