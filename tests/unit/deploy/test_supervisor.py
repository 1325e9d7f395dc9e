import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import LocalServerError
from deploy.local import processes
from deploy.local.processes import Process
from deploy.local.supervisor import Backoff, Plan, Supervisor, last_words


class Clock:
    """Time passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Told:
    """What the supervisor said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, role: str, what: str) -> None:
        self.lines.append(f"{role} {what}")


def test_each_end_is_waited_out_twice_as_long_until_too_many_came_too_fast() -> None:
    backoff = Backoff(give_up_after=4, within_seconds=60)
    assert [backoff.ended(now) for now in (0, 1, 2, 3)] == [0.5, 1.0, 2.0, None]


def test_ends_that_are_long_ago_are_forgiven() -> None:
    backoff = Backoff(give_up_after=3, within_seconds=60)
    assert [backoff.ended(now) for now in (0, 100, 200, 300, 400)] == [0.5] * 5


class Crew:
    """Real processes of shell scripts under a supervisor with real time."""

    def __init__(self, folder: Path) -> None:
        self.told = Told()
        self.supervisor = Supervisor(self.told, give_up_after=3, give_up_seconds=60)
        self._folder = folder

    def plan(self, name: str, code: str, is_ready: Callable[[], bool] = lambda: True, seconds: float = 20.0) -> Plan:
        def launch() -> Process:
            return Process([sys.executable, "-c", code], log=self._folder / f"{name}.log")

        return Plan(name, launch, is_ready, ready_seconds=seconds)


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    crew.supervisor.end_at_once()
    crew.supervisor.stop(seconds=5.0)


WAITS = "import time; time.sleep(60)"


def test_a_role_counts_as_started_once_it_is_ready(crew: Crew) -> None:
    asked = iter([False, False, True])
    assert crew.supervisor.start(crew.plan("worker", WAITS, lambda: next(asked)))
    assert [line.split(" after ")[0] for line in crew.told.lines] == ["worker ready"]
    assert crew.supervisor.pids.keys() == {"worker"}


def test_a_role_that_is_never_ready_is_an_error_with_what_it_said_last_and_its_log(crew: Crew, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    crew.supervisor = Supervisor(
        crew.told,
        give_up_after=3,
        give_up_seconds=60,
        clock=lambda: 2.0 if log.exists() and "engine" in log.read_text() else 0.0,  # once it has said something
    )
    plan = crew.plan("worker", f"print('building an engine', flush=True); {WAITS}", lambda: False, seconds=1.0)
    with pytest.raises(LocalServerError) as caught:
        crew.supervisor.start(plan)
    assert caught.value.message == "worker was not ready within 1 s; the last that it said: building an engine"
    assert caught.value.fix.startswith("is the machine overloaded?")
    assert caught.value.fix.endswith(f"; its log is {tmp_path / 'worker.log'}")


def test_a_role_that_dies_is_restarted_and_told_with_its_last_words(crew: Crew, tmp_path: Path) -> None:
    once = tmp_path / "once"
    code = f"""
import pathlib, sys, time
once = pathlib.Path({str(once)!r})
if not once.exists():
    once.touch()
    sys.exit("the broker is gone")
time.sleep(60)
"""
    assert crew.supervisor.start(crew.plan("worker", code, once.exists))
    for _ in range(100):
        crew.supervisor.tend()
        if any("ready again" in line for line in crew.told.lines):
            break
        crew.supervisor._sleep(0.05)
    assert "worker ended (exit code 1), starts again in 0.5 s: the broker is gone" in crew.told.lines
    assert crew.supervisor.restarts == {"worker": [1]}
    assert any("worker ready again" in line for line in crew.told.lines)


def test_the_log_of_a_role_that_runs_for_weeks_has_an_end(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 200)
    log, talks = tmp_path / "worker.log", tmp_path / "talks"
    code = f"""
import pathlib, time
print(100 * "first ", flush=True)
while not pathlib.Path({str(talks)!r}).exists():
    time.sleep(0.01)
print("and on", flush=True)
time.sleep(60)
"""
    assert crew.supervisor.start(crew.plan("worker", code, log.exists))
    for _ in range(400):
        crew.supervisor.tend()
        if (tmp_path / "worker.log.1").exists():
            break
        crew.supervisor._sleep(0.05)
    assert (tmp_path / "worker.log.1").read_text().startswith("first first ")
    talks.touch()
    for _ in range(400):
        crew.supervisor.tend()
        if log.read_text():
            break
        crew.supervisor._sleep(0.05)
    assert log.read_text() == "and on\n"


def test_a_role_that_keeps_dying_ends_the_run_with_the_cause(crew: Crew) -> None:
    plan = crew.plan("worker", "import sys; sys.exit('no memory')", lambda: False)
    with pytest.raises(LocalServerError, match=r"worker ended 3 times in a row \(exit code 1\): no memory"):
        crew.supervisor.start(plan)


def test_a_role_that_was_given_something_wrong_is_not_tried_again(crew: Crew) -> None:
    plan = crew.plan("worker", "import sys; print('no such key', file=sys.stderr); sys.exit(2)", lambda: False)
    with pytest.raises(LocalServerError, match="no such key"):
        crew.supervisor.start(plan)
    assert crew.told.lines == []


@pytest.mark.parametrize(
    ("output", "said", "fix"),
    [
        ("", "", ""),
        ("loading\n\nTraceback:\n  File 'a.py'\nValueError: no such thing\n\n", "ValueError: no such thing", ""),
        ("loading\nfinsentry: the bundle is broken\n  export it again\n", "the bundle is broken", "export it again"),
        ("finsentry: first\n  mend it\nfinsentry: then\n", "then", ""),
        ("finsentry: a file\n  write these lines:\n  [model]\n", "a file", "write these lines: [model]"),
        ("finsentry: before\nloading\n  indented\n", "indented", ""),
    ],
)
def test_the_last_words_are_the_error_and_not_its_remedy(output: str, said: str, fix: str) -> None:
    assert last_words(output) == (said, fix)


def test_a_role_of_ours_that_fails_passes_on_what_to_do(crew: Crew, tmp_path: Path) -> None:
    code = "import sys; print('finsentry: no bundle there\\n  export one.', file=sys.stderr); sys.exit(2)"
    with pytest.raises(LocalServerError) as caught:
        crew.supervisor.start(crew.plan("worker", code, lambda: False))
    assert caught.value.message == "worker ended (exit code 2): no bundle there"
    assert caught.value.fix == f"export one; its log is {tmp_path / 'worker.log'}"


def test_a_role_that_knows_why_it_failed_says_so_and_what_to_do(crew: Crew, tmp_path: Path) -> None:
    plan = crew.plan("kafka", "import sys; sys.exit('at java.base/java.lang.Thread.run')", lambda: False)
    full = LocalServerError("Kafka cannot run: the disk is full", fix="free some space")

    with pytest.raises(LocalServerError, match=r"kafka ended 3 times .*: Kafka cannot run: the disk") as caught:
        crew.supervisor.start(replace(plan, failure=lambda: full))

    assert caught.value.fix == f"free some space; its log is {tmp_path / 'kafka.log'}"


def test_a_run_that_was_stopped_does_not_wait_for_the_next_role(tmp_path: Path) -> None:
    crew = Crew(tmp_path)
    crew.supervisor = Supervisor(crew.told, give_up_after=3, give_up_seconds=60, stopped=lambda: True)
    assert not crew.supervisor.start(crew.plan("worker", WAITS, lambda: False))
    crew.supervisor.end_at_once()
    crew.supervisor.stop(seconds=5.0)


def test_stopping_kills_what_does_not_stop_and_leaves_nothing(crew: Crew, tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    crew.supervisor.start(crew.plan("kafka", WAITS))
    crew.supervisor.start(crew.plan("worker", deaf, lambda: "deaf" in (tmp_path / "worker.log").read_text()))
    crew.supervisor.stop(seconds=1.0)
    assert crew.supervisor.pids == {}
    assert "worker does not stop, killed" in crew.told.lines
