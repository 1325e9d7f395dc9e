"""Keeps the processes of one machine running: started in order, restarted when they die, stopped together.

Nothing dies in silence: each end is told with its exit code and the last words of its log, and a role that keeps dying
ends the whole run, with an error that names the role, the cause, its log and what to do.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.errors import LocalServerError
from deploy.local.processes import Process

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
POLL_SECONDS = 0.1

SAID = "finsentry: "
"""How the command line begins an error; the lines below it, indented, say what to do."""

MOST_SAID = 300
"""Characters of a log's line that are shown: enough for a cause, and no page of JSON."""

Say = Callable[[str, str], None]
"""Told of every change: the role and what became of it."""


class Backoff:
    """How long to wait before a process that ended is started again. Pure: the clock's value is passed in."""

    def __init__(self, *, give_up_after: int, within_seconds: float) -> None:
        self._limit = give_up_after
        self._within = within_seconds
        self._ends: deque[float] = deque()

    def ended(self, now: float) -> float | None:
        """Seconds to wait; None where it ended `give_up_after` times within `within_seconds`."""
        self._ends.append(now)
        while self._ends[0] < now - self._within:
            self._ends.popleft()
        if len(self._ends) >= self._limit:
            return None
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (len(self._ends) - 1), LONGEST_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class Plan:
    """A role: how its process is launched and how to tell that it is ready."""

    name: str
    launch: Callable[[], Process]
    is_ready: Callable[[], bool]
    ready_seconds: float = 60.0
    """A loaded machine may take ten times as long as an idle one, which needs 2 to 6 s."""
    shown: str = ""
    """What a person may want to know once it is ready: an address."""
    failure: Callable[[], LocalServerError] | None = None
    """Why its process ended, where that takes more than the last line of its log."""


@dataclass(slots=True)
class _Role:
    plan: Plan
    backoff: Backoff
    process: Process
    launched: float
    due: float | None = None
    """When to start it again; None while it runs."""
    ready: bool = False
    ended: list[int] = field(default_factory=list)


class Supervisor:
    """Runs the roles that it was given, in the order they were given in. For one thread: the main one."""

    def __init__(
        self,
        say: Say,
        *,
        give_up_after: int,
        give_up_seconds: float,
        stopped: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._say = say
        self._limits = (give_up_after, give_up_seconds)
        self._stopped = stopped
        self._clock = clock
        self._sleep = sleep
        self._roles: dict[str, _Role] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process of each role that runs."""
        return {name: role.process.pid for name, role in self._roles.items() if role.process.running}

    @property
    def restarts(self) -> dict[str, list[int]]:
        """The exit codes of each role that died so far."""
        return {name: role.ended for name, role in self._roles.items() if role.ended}

    def start(self, plan: Plan) -> bool:
        """Launches a role and waits until it is ready; False where `stopped` says so before.

        The other roles are looked after meanwhile. Raises `LocalServerError` where it ends or is not ready in time.
        """
        limit, within = self._limits
        backoff = Backoff(give_up_after=limit, within_seconds=within)
        role = _Role(plan, backoff, plan.launch(), self._clock())
        self._roles[plan.name] = role
        while not role.ready:
            if self._stopped():
                return False
            if role.process.running and self._clock() - role.launched > plan.ready_seconds:
                raise self._late(role)
            if not role.process.running and role.process.exit_code == 2:
                raise self._failure(role)  # what it was given is wrong: trying again does not mend that
            self.tend()
            self._sleep(POLL_SECONDS)
        return True

    def tend(self) -> None:
        """Takes one look at every role. Raises `LocalServerError` where one has died too often."""
        now = self._clock()
        for role in self._roles.values():
            role.process.limit_log()
            if role.due is not None:
                if now >= role.due:
                    role.process, role.launched = role.plan.launch(), now
                    role.due, role.ready = None, False
            elif not role.process.running:
                self._bury(role, now)
            elif not role.ready and role.plan.is_ready():
                role.ready = True
                again = " again" if role.ended else ""
                self._say(role.plan.name, f"ready{again} after {now - role.launched:.1f} s  {role.plan.shown}".rstrip())

    def stop(self, *, seconds: float) -> None:
        """Stops every role within about `seconds`: first all that stand on the first one, then that one."""
        roles = [role for role in self._roles.values() if role.process.running]
        for group, share in ((roles[:0:-1], 0.6), (roles[:1], 0.4)):
            deadline = self._clock() + seconds * share
            for role in group:
                role.process.ask_to_stop()
            for role in group:
                while role.process.running and self._clock() < deadline:
                    self._sleep(POLL_SECONDS)
                if role.process.running:
                    self._say(role.plan.name, "does not stop, killed")
                role.process.kill()  # whatever is left of its group, too

    def end_at_once(self) -> None:
        """Ends every role at once, and leaves it to `stop` to reap them: for a signal handler."""
        for role in reversed(self._roles.values()):
            role.process.end_at_once()

    def _bury(self, role: _Role, now: float) -> None:
        code = role.process.exit_code
        assert code is not None
        role.process.kill()  # what it may have left behind
        role.ended.append(code)
        pause = role.backoff.ended(now)
        if pause is None:
            raise self._failure(role)
        role.due, role.ready = now + pause, False
        said, _ = _why(role)
        self._say(
            role.plan.name, f"ended ({_describe(code)}), starts again in {pause:.1f} s{': ' if said else ''}{said}"
        )

    def _failure(self, role: _Role) -> LocalServerError:
        code = role.process.exit_code
        times = f" {len(role.ended)} times in a row" if len(role.ended) > 1 else ""
        said, fix = _why(role)
        return LocalServerError(
            f"{role.plan.name} ended{times} ({_describe(code or 0)}){': ' if said else ''}{said}",
            fix=_with_log(role, fix),
        )

    def _late(self, role: _Role) -> LocalServerError:
        said, _ = last_words(role.process.output())
        return LocalServerError(
            f"{role.plan.name} was not ready within {role.plan.ready_seconds:.0f} s"
            + (f"; the last that it said: {said}" if said else ""),
            fix=_with_log(role, "is the machine overloaded? Try again when it is idle"),
        )


def last_words(output: str) -> tuple[str, str]:
    """The error that a command of ours ended with and what to do about it; of another program the last line."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    for place in reversed(range(len(lines))):
        if lines[place].startswith(SAID):
            fix = " ".join(line.strip() for line in lines[place + 1 :])
            return lines[place].removeprefix(SAID)[:MOST_SAID], fix[:MOST_SAID]
        if not lines[place].startswith("  "):  # so is what to do about an error, and nothing comes after that
            break
    return (lines[-1].strip()[:MOST_SAID] if lines else ""), ""


def _describe(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _why(role: _Role) -> tuple[str, str]:
    """Why its process ended, and what to do about it where that is known."""
    if role.plan.failure is None:
        return last_words(role.process.output())
    known = role.plan.failure()
    return known.message, known.fix


def _with_log(role: _Role, fix: str) -> str:
    log = str(role.process.log)
    return fix if log in fix else "; ".join(filter(None, (fix.rstrip("."), f"its log is {log}")))
