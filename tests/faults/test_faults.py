"""Workers and single calls that fail while documents come: the counts stay those of an offline count."""

import os
import signal
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic, sleep

import msgspec
import pytest

from stream.broker import BrokerSettings
from stream.hot_loop import LAG_SECONDS
from stream.records import Checkpoint, ScoredDocument
from stream.snapshot import read_topic
from stream.topics import Topics
from stream.windows_log import decode_window
from tests.faults.conftest import Scale
from tests.faults.crew import Crew
from tests.faults.exact import require_exact
from tests.integration.logs import wait_until
from tests.integration.streaming import (
    SLOW,
    StartWorker,
    accounted,
    as_records,
    documents,
    publish,
    slow_for,
    wait_for_documents,
    wait_until_it_holds,
    with_poison,
)

FROZEN = "frozen"

Late = Callable[[BrokerSettings, Topics], bool]

TAKEN_OVER_SECONDS = 10.0

A_FAULT_SECONDS = 10.0
"""A session, until the group misses a worker that was killed, and what it takes to share the partitions anew."""

SESSION_SECONDS = 6.0
"""`stream.session_timeout_seconds`: how long the group waits for a member that is silent."""


@pytest.mark.timeout(2400)
def test_workers_that_are_killed_leave_and_join(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, scale: Scale, tmp_path: Path
) -> None:
    random = Random(23)
    slow = slow_for(4 * A_FAULT_SECONDS * scale.kills, scale.documents, workers=3)
    crew = Crew(start_worker, tmp_path, 3, **slow)
    published = with_poison(as_records(documents(scale.documents)))
    publish(kafka, topics, published)
    counted = 0
    for kill in range(scale.kills):
        # A group that is still at the fault before does nothing that a fault could spoil.
        wait_for_documents(kafka, topics, counted + 1, seconds=60)
        place = random.randrange(3)
        crew.wait_until_it_holds(place)
        sleep(random.uniform(0.0, 1.0))
        counted = accounted(kafka, topics)
        crew.kill(place)
        crew.join(place, **slow)
        if kill % 3 == 2:
            wait_for_documents(kafka, topics, counted + 1, seconds=60)
            place = random.randrange(3)
            crew.wait_until_it_holds(place)
            crew.leave(place)
            crew.join(place, **slow)
    assert accounted(kafka, topics) < len(published), "there was work at every kill"
    for place in range(3):
        crew.wait_until_it_holds(place)
        crew.leave(place)
        crew.join(place)
    wait_for_documents(kafka, topics, len(published), seconds=90 + scale.documents / 500)
    crew.require_alive()
    require_exact(kafka, topics, scale.documents, dead=len(published) - scale.documents)


def a_score_is_late(kafka: BrokerSettings, topics: Topics) -> bool:
    """Whether the frozen worker's record of a document stands in `scored` behind one of the worker that took over."""
    furthest: dict[int, int] = defaultdict(lambda: -1)
    for record in read_topic(kafka, topics.scored):
        document = msgspec.json.decode(record.value, type=ScoredDocument)
        if document.model != FROZEN:
            furthest[record.partition] = max(furthest[record.partition], document.origin)
        elif document.origin <= furthest[record.partition]:
            return True
    return False


def a_checkpoint_is_late(kafka: BrokerSettings, topics: Topics) -> bool:
    """Whether a checkpoint stands in `windows` behind a further one: a partition's owner goes on from the furthest."""
    furthest: dict[int, int] = defaultdict(int)
    for record in read_topic(kafka, topics.windows):
        entry = decode_window(record.key, record.value)
        if isinstance(entry, Checkpoint):
            if entry.position < furthest[record.partition]:
                return True
            furthest[record.partition] = entry.position
    return False


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("loop", "is_late"), [("scoring", a_score_is_late), ("aggregation", a_checkpoint_is_late)])
def test_a_frozen_worker_that_wakes_and_writes_does_not_win(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, loop: str, is_late: Late
) -> None:
    total = 6000
    frozen = start_worker(**SLOW, version=FROZEN, freeze=[(f"{loop}/AIOKafkaProducer.send_batch", 6)])
    publish(kafka, topics, as_records(documents(total)[: total // 2]))
    state = Path(f"/proc/{frozen.pid}/stat")
    wait_until(lambda: ") T " in state.read_text(), seconds=60, what=f"it is frozen in the {loop} loop")
    other = start_worker(**SLOW, version="other")
    wait_for_documents(kafka, topics, total // 2, seconds=60)
    assert frozen.poll() is None, "it is frozen, and neither dead nor fenced yet"
    assert not is_late(kafka, topics)
    os.kill(frozen.pid, signal.SIGCONT)
    wait_until(lambda: is_late(kafka, topics), seconds=60, what="it has written what it was about to")
    publish(kafka, topics, as_records(documents(total)[total // 2 :]))
    wait_for_documents(kafka, topics, total, seconds=60)
    assert (frozen.poll(), other.poll()) == (None, None)
    require_exact(kafka, topics, total)


@pytest.mark.timeout(300)
def test_every_call_that_the_loops_wait_for_may_fail_before_or_after_it_did_its_work(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    total = 4000
    # Even calls fail before anything is done, odd ones after it. What is called a few times only fails early: each
    # failure costs a round with clients of its own.
    calls = {
        "AIOKafkaConsumer.getmany": (4, 7),
        "AIOKafkaConsumer.commit": (2, 3),
        "AIOKafkaConsumer.start": (2, 3),
        "AIOKafkaConsumer.beginning_offsets": (2, 3),
        "AIOKafkaConsumer.end_offsets": (2, 3),
        "AIOKafkaConsumer.position": (2, 3),
        "AIOKafkaProducer.send_batch": (4, 7),
        "AIOKafkaProducer.start": (2, 3),
        "AIOKafkaProducer.stop": (2, 3),
    }
    fail = [
        (f"{loop}/{method}", call) for loop in ("scoring", "aggregation") for method in calls for call in calls[method]
    ]
    admin = ("start", "list_consumer_group_offsets", "close")
    fail += [(f"scoring/AIOKafkaAdminClient.{name}", call) for name in admin for call in (2, 3)]
    restoring = ("start", "end_offsets", "beginning_offsets", "getmany", "position", "stop")
    fail += [(f"restoring/AIOKafkaConsumer.{name}", call) for name in restoring for call in (2, 3)]
    # A batch may be handed over and its acknowledgement fail.
    answers = [(f"{loop}/AIOKafkaProducer.send_batch", call) for loop in ("scoring", "aggregation") for call in (8, 11)]
    # The seven rounds in a row that a worker tries without progress would not be enough for all at once.
    patient = {"stream": {"batch_documents": 64, "restarts": 60}, "backoff_seconds": [0.2]}
    worker = start_worker(**SLOW | patient, fail=fail, fail_answer=answers)
    due = [f"injected method={name} call={call}" for name, call in fail]
    due += [f"injected method={name} answer={call}" for name, call in answers]

    def missing() -> list[str]:
        log = (tmp_path / "worker-0.log").read_text().splitlines()
        return [one for one in due if not any(line.endswith(one) for line in log)]

    published, part = 0, total // 20
    while published < total // 2 or (published < total and missing()):
        if published >= total // 2:
            sleep(2.5 * LAG_SECONDS)  # the position is asked for where nothing has moved for a while
        publish(kafka, topics, as_records(documents(total))[published : published + part])
        published += part
        wait_for_documents(kafka, topics, published, seconds=60)
    require_exact(kafka, topics, published)
    assert worker.poll() is None
    assert not missing(), "these were never called so often"


@pytest.mark.timeout(120)
def test_a_consumer_that_cannot_leave_its_group_is_ended_and_frees_its_partitions(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    total = 1000
    # The second `stop` does nothing but fail: what is left of the consumer would live on, and keep what it has.
    failing = [("commit", 2), ("commit", 4), ("stop", 2)]
    stuck = start_worker(**SLOW, fail=[(f"scoring/AIOKafkaConsumer.{name}", call) for name, call in failing])
    publish(kafka, topics, as_records(documents(total)))
    said = "could not leave its group error=RuntimeError: injected into scoring/AIOKafkaConsumer.stop"
    wait_until(lambda: said in (tmp_path / "worker-0.log").read_text(), seconds=60, what="it fails to leave")
    publish(kafka, topics, as_records(documents(2 * total)[total:]))
    wait_for_documents(kafka, topics, 2 * total, seconds=60)
    assert stuck.poll() is None, "the rest of it is well"
    require_exact(kafka, topics, 2 * total)


@pytest.mark.timeout(240)
def test_a_takeover_waits_for_one_session_and_little_more(
    kafka: BrokerSettings, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    part, most = 200, 3
    items = as_records(documents((1 + most) * part))
    workers = [start_worker(), start_worker()]
    publish(kafka, topics, items[:part])
    wait_for_documents(kafka, topics, part, seconds=40)
    took = []
    for kill in range(most):  # the best counts: what else the machine does only adds
        for place in (kill, kill + 1):
            wait_until_it_holds(tmp_path / f"worker-{place}.log", "scoring", "aggregation")
        workers[kill].kill()
        workers[kill].wait()
        began = monotonic()
        publish(kafka, topics, items[(1 + kill) * part : (2 + kill) * part])
        wait_for_documents(kafka, topics, (2 + kill) * part, seconds=60)
        took.append(monotonic() - began)
        if took[-1] < TAKEN_OVER_SECONDS:
            break
        workers.append(start_worker())
    assert min(took) < TAKEN_OVER_SECONDS, f"{took} s, with a session of {SESSION_SECONDS} s"
