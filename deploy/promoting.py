"""Asking the workers for another bundle and gathering what they answer, for `finsentry promote`."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path
from typing import Literal

import msgspec

from deploy.errors import FinSentryError, InputError
from model.bundle import SHIPPED, Bundle
from stream.control import (
    SILENT_SECONDS,
    ControlTable,
    model_of,
    named,
    progress_of,
    promote,
    restore,
    roll_back,
    shadow,
)
from stream.control_desk import ControlDesk
from stream.records import BundleRef, Disagreement, Promotion

POLL_SECONDS = 0.2

TRIAL_SECONDS = 5.0
"""How long the first batches are waited for once all are live: under load they take less; a quiet hour has none."""

GRACE = timedelta(minutes=1)
"""A shadow whose command was killed ends so long after it should have."""

State = Literal["live", "loading", "shadowing", "shadowed", "refused", "unanswered"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker says of one promotion."""

    worker: str
    state: State
    model: str
    """Version of the bundle that scores there now, in the language that the promotion is for."""
    reason: str = ""
    on_trial: bool = False
    disagreement: Disagreement | None = None


def read_bundle(folder: Path, seen_as: str | None, language: str) -> BundleRef:
    """The verified bundle as a promotion names it: a shipped one by its name, which holds wherever workers run.

    Raises `BundleError`, and `InputError` where it is not made for texts in `language`.
    """
    bundle = Bundle.load(folder)
    if bundle.manifest.language != language:
        raise InputError(
            f"{folder}: is made for texts in {bundle.manifest.language!r}, and would get those in {language!r}",
            fix=f"Promote it with --language {bundle.manifest.language}, or another bundle.",
        )
    place = bundle.folder.resolve()
    name = place.name if place.parent == SHIPPED.resolve() else str(place)
    return BundleRef(folder=seen_as or name, version=bundle.manifest.version, digest=bundle.manifest.digest)


def answers(table: ControlTable, promotion: Promotion, asked: Iterable[str]) -> list[Answer]:
    """What the asked workers say of the promotion, and those that came meanwhile; who has left is not waited for."""
    found = []
    for worker, heard in sorted(table.workers.items()):
        progress, model = progress_of(heard.report, promotion), model_of(heard.report, promotion.language)
        if progress is not None:
            found.append(
                Answer(
                    worker=worker,
                    state=progress.state,
                    model=model,
                    reason=progress.reason,
                    on_trial=progress.on_trial,
                    disagreement=progress.disagreement,
                )
            )
        elif worker in asked:
            found.append(Answer(worker=worker, state="unanswered", model=model))
    return found


def total(found: Iterable[Answer]) -> Disagreement:
    """The disagreement over all workers."""
    return reduce(add, (answer.disagreement for answer in found if answer.disagreement), Disagreement())


class Campaign:
    """One run of the command: publishes, waits, and takes back. `stopped` ends a wait early."""

    def __init__(
        self,
        desk: ControlDesk,
        *,
        wait: float,
        stopped: Callable[[], bool],
        told: Callable[[list[Answer]], None],
        language: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`wait`: seconds in which workers are to answer. `told` is given the answers as they change. `language`: whose
        bundle it is about; empty: the default one.
        """
        self._language = language
        self._desk = desk
        self._wait = wait
        self._stopped = stopped
        self._told = told
        self._monotonic = monotonic
        self._sleep = sleep
        desk.read()

    def silent(self) -> list[str]:
        """Workers that did not say goodbye and have said nothing for `SILENT_SECONDS`: they were not asked."""
        heard = self._desk.table.heard_since(time.time() * 1000 - SILENT_SECONDS * 1000)
        return sorted(self._desk.table.workers.keys() - heard)

    def go_live(self, bundle: BundleRef) -> list[Answer]:
        """Makes the bundle live. Where a worker refuses it, what was live before is asked for again, of all."""
        before = self._desk.table.standing("live", self._language)
        found = self._ask_live(promote(bundle, before, _now(), self._language), self._told)
        if any(answer.state == "refused" for answer in found):
            # Also when it was stopped meanwhile: the fleet must not stay split.
            self._ask_live(restore(before, _now(), self._language), told=lambda _: None)
        return found

    def roll_back(self) -> tuple[Promotion, list[Answer]]:
        """Makes live what was so before. Raises `InputError` where nothing was promoted."""
        live = self._desk.table.standing("live", self._language)
        back = roll_back(live, _now()) if live is not None else None
        if back is None:
            raise InputError(
                "there is nothing to go back to: each worker runs the bundle of its own settings",
                fix="`finsentry promote BUNDLE` makes another one live; `--status` shows what runs",
            )
        return back, self._ask_live(back, self._told)

    def shadow(self, bundle: BundleRef, seconds: float) -> list[Answer]:
        """Runs the bundle beside the live one for so long, then ends it and returns what was found."""
        until = _now() + timedelta(seconds=seconds + self._wait) + GRACE
        promotion = shadow(bundle, _now(), until, self._language)
        asked = self._publish(promotion)
        begun = self._await(
            promotion,
            asked,
            lambda found: all(a.state in ("shadowing", "refused") for a in found),
            self._wait,
            self._told,
        )
        if any(answer.state == "shadowing" for answer in begun):
            self._await(promotion, asked, lambda found: all(a.state == "refused" for a in found), seconds, self._told)
        if self._stands(promotion):
            self._desk.end_shadow()
        return self._last_words(promotion, asked)

    def _ask_live(self, promotion: Promotion, told: Callable[[list[Answer]], object]) -> list[Answer]:
        asked = self._publish(promotion)
        settled_at: float | None = None

        def is_done(found: list[Answer]) -> bool:
            nonlocal settled_at
            if not all(answer.state in ("live", "refused") for answer in found):
                settled_at = None
                return False
            settled_at = settled_at or self._monotonic()
            return not any(a.on_trial for a in found) or self._monotonic() - settled_at >= TRIAL_SECONDS

        return self._await(promotion, asked, is_done, self._wait, told)

    def _publish(self, promotion: Promotion) -> set[str]:
        """Returns the workers that live, hence are to answer."""
        at_ms = self._desk.publish(promotion)
        self._desk.read()
        return self._desk.table.heard_since(at_ms - SILENT_SECONDS * 1000)

    def _await(
        self,
        promotion: Promotion,
        asked: set[str],
        is_done: Callable[[list[Answer]], bool],
        seconds: float,
        told: Callable[[list[Answer]], object],
    ) -> list[Answer]:
        """The answers once `is_done` says so of them, the time is over, or the command was stopped.

        Raises `FinSentryError` where somebody else's promotion takes the place of this one.
        """
        found: list[Answer] = []
        for found in self._rounds(promotion, asked, seconds):
            told(found)
            if not self._stands(promotion):
                raise FinSentryError(
                    f"another promotion took the place of {named(promotion)}",
                    fix="somebody else is promoting: `finsentry promote --status` shows what stands now",
                )
            if is_done(found) or self._stopped():
                break
        return found

    def _last_words(self, promotion: Promotion, asked: set[str]) -> list[Answer]:
        """What workers found as a shadow that has ended, also where the command was stopped."""
        found: list[Answer] = []
        for found in self._rounds(promotion, asked, SILENT_SECONDS):
            self._told(found)
            if all(answer.state in ("shadowed", "refused", "unanswered") for answer in found):
                break
        return found

    def _rounds(self, promotion: Promotion, asked: set[str], seconds: float) -> Iterator[list[Answer]]:
        """The answers, again and again for so long, and once at least."""
        deadline = self._monotonic() + seconds
        while True:
            self._desk.read()
            yield answers(self._desk.table, promotion, asked)
            if self._monotonic() > deadline:
                return
            self._sleep(POLL_SECONDS)

    def _stands(self, promotion: Promotion) -> bool:
        standing = self._desk.table.standing(promotion.mode, promotion.language)
        return standing is not None and standing.id == promotion.id


def _now() -> datetime:
    return datetime.now(UTC)
