"""What `control` says: which bundle is to be live, which is to run beside it, and what the workers report. Pure."""

import secrets
from datetime import datetime
from typing import NamedTuple

import msgspec

from stream.errors import FinSentryError
from stream.records import BundleRef, Progress, ProgressState, Promotion, PromotionMode, WorkerReport, require_known

HEARTBEAT_SECONDS = 5.0
"""How often a worker repeats its report, so that a dead one can be told from a silent one."""

SILENT_SECONDS = 3 * HEARTBEAT_SECONDS
"""A worker that has not reported for so long is not waited for."""

FORGET_SECONDS = 3600.0
"""What a worker that was killed left behind is taken out of the topic after that, by the next one that starts."""

LONGEST_HISTORY = 10

_WORKER = "worker/"
_LIVE = "live"
_LIVE_OF = "live/"
_SHADOW = "shadow"
_promotions = msgspec.json.Decoder(Promotion)
_reports = msgspec.json.Decoder(WorkerReport)


class Heard(NamedTuple):
    """A worker's latest report, and when it was written, by the clock of who wrote it."""

    report: WorkerReport
    at_ms: int


class ControlTable:
    """The newest record of each key."""

    def __init__(self) -> None:
        self.live: dict[str, Promotion] = {}
        """By language; under the empty one the promotion of the default bundle."""
        self.shadow: Promotion | None = None
        self.workers: dict[str, Heard] = {}

    def put(self, key: bytes | None, value: bytes | None, at_ms: int) -> None:
        """Takes the next record. Raises `msgspec.MsgspecError` or `SchemaError` where it cannot be read, and keeps
        what it had."""
        name = (key or b"").decode("utf-8", "replace")
        if name.startswith(_WORKER):
            self._put_report(name.removeprefix(_WORKER), value, at_ms)
        elif name == _SHADOW:
            self.shadow = _read_promotion(value)
        elif name == _LIVE or name.startswith(_LIVE_OF):
            language, promotion = name.removeprefix(_LIVE).removeprefix("/"), _read_promotion(value)
            if promotion is None:
                self.live.pop(language, None)
            else:
                self.live[language] = promotion

    def _put_report(self, worker: str, value: bytes | None, at_ms: int) -> None:
        if not value:
            self.workers.pop(worker, None)
            return
        report = _reports.decode(value)
        require_known(report.schema)
        self.workers[worker] = Heard(report, at_ms)

    def standing(self, mode: PromotionMode, language: str) -> Promotion | None:
        """What is asked for now: live in that language, or as a shadow."""
        return self.shadow if mode == "shadow" else self.live.get(language)

    def heard_since(self, at_ms: float) -> set[str]:
        """The workers whose latest report is not older than this."""
        return {worker for worker, heard in self.workers.items() if heard.at_ms >= at_ms}


def worker_key(worker: str) -> bytes:
    """The key of a worker's reports."""
    return f"{_WORKER}{worker}".encode()


def key_of(mode: PromotionMode, language: str) -> str:
    """The key of a promotion's record. There is one shadow at a time, of whatever language."""
    return f"{_LIVE_OF}{language}" if mode == "live" and language else mode


def progress_of(report: WorkerReport, promotion: Promotion) -> Progress | None:
    """What a worker says of the promotion; None where it has not seen it, or sees another one by now."""
    if promotion.mode == "shadow":
        progress = report.shadow
    else:
        progress = report.languages.get(promotion.language) if promotion.language else report.live
    return progress if progress is not None and progress.promotion == promotion.id else None


def progress(wanted: Promotion, state: ProgressState, reason: str = "") -> Progress:
    """What a worker reports of a promotion that it has come so far with."""
    version = wanted.bundle.version if wanted.bundle is not None else ""
    return Progress(promotion=wanted.id, state=state, version=version, reason=reason)


def in_one_line(error: BaseException) -> str:
    """The reason that a worker reports, with what to do where the error knows it."""
    if isinstance(error, FinSentryError):
        return f"{error.message}; {error.fix}" if error.fix else error.message
    return f"{type(error).__name__}: {error}"


def model_of(report: WorkerReport, language: str) -> str:
    """Version of the bundle that reads this language there; empty where none is for it."""
    return report.models.get(language, "") if language else report.model


def promote(bundle: BundleRef, before: Promotion | None, at: datetime, language: str = "") -> Promotion:
    """The record that makes `bundle` live after `before`, for a language or, where that is empty, as the default."""
    history = before.history if before is not None else ()
    if before is not None and before.bundle is not None and before.bundle != bundle:
        history = (*history, before.bundle)[-LONGEST_HISTORY:]
    return Promotion(id=_new_id(), mode="live", at=at, bundle=bundle, language=language, history=history)


def roll_back(before: Promotion, at: datetime) -> Promotion | None:
    """The record that undoes `before`: what was live before it, or each worker's own bundle; None if that is live."""
    if before.bundle is None:
        return None
    history = before.history
    return Promotion(
        id=_new_id(),
        mode="live",
        at=at,
        bundle=history[-1] if history else None,
        language=before.language,
        history=history[:-1],
    )


def restore(before: Promotion | None, at: datetime, language: str = "") -> Promotion:
    """The record that asks for what `before` asked for once more."""
    bundle, history = (before.bundle, before.history) if before is not None else (None, ())
    return Promotion(id=_new_id(), mode="live", at=at, bundle=bundle, language=language, history=history)


def shadow(bundle: BundleRef, at: datetime, until: datetime, language: str = "") -> Promotion:
    """The record that runs `bundle` beside the live one of a language, or the default one."""
    return Promotion(id=_new_id(), mode="shadow", at=at, bundle=bundle, language=language, until=until)


def candidates(promotion: Promotion) -> tuple[BundleRef | None, ...]:
    """What a worker tries in turn: the bundle, what was live before it from the newest on, the one of its settings."""
    return (promotion.bundle, *reversed(promotion.history), None)


def named(promotion: Promotion) -> str:
    """The promoted bundle's version, for people."""
    return promotion.bundle.version if promotion.bundle is not None else "each worker's own bundle"


def _read_promotion(value: bytes | None) -> Promotion | None:
    promotion = _promotions.decode(value) if value else None
    if promotion is not None:
        require_known(promotion.schema)
    return promotion


def _new_id() -> str:
    return secrets.token_hex(6)
