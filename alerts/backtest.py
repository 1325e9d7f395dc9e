"""The same counting, windows and judge over what is already there: scored documents, or texts and a classifier."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from alerts.detector import Verdict
from alerts.judge import Judge
from alerts.settings import AlertSettings
from stream.aggregation import PartitionCounter
from stream.archive import read_archive
from stream.errors import GapError, InputError
from stream.records import SCHEMA, Alert, Bucket, Document, ScoredDocument, encode, to_dict
from stream.scoring import Answering, Received, Scorer
from stream.settings import StreamSettings
from stream.windows import WindowTable, minute_of, moment_of

POINTS = 400
"""A timeline has about so many moments: what a screen can show."""

BATCH = 512

RANGE_Z = 1.645
"""Nine of ten calm windows lie within so many standard deviations."""


class Placed(NamedTuple):
    """A scored document and where it stands in `scored`."""

    partition: int
    offset: int
    document: ScoredDocument


class Point(NamedTuple):
    """One topic at one moment of the timeline."""

    at: datetime
    stories: int
    negative: int
    share: float
    lower_bound: float
    baseline: float
    usual_low: float
    usual_high: float
    """Between these lie nine of ten calm windows with so many stories."""
    judged: bool
    """There were enough stories to decide anything."""


@dataclass(frozen=True)
class Backtest:
    """What the judge would have said."""

    window: str
    """The window that the timeline is of."""
    length: int
    """Its minutes."""
    told: list[Alert]
    """Every record, in order."""
    timeline: dict[str, list[Point]]
    """By topic: a point a moment, where there was a story."""
    buckets: list[Bucket]
    """As the stream writes them at the end, by topic, minute and partition."""
    counted: int
    late: int
    dead: int
    repeats: int
    span: tuple[datetime, datetime]
    """Event time from the first bucket to the watermark."""

    @property
    def alerts(self) -> list[Alert]:
        """The last record of each alert, in order of their start."""
        latest = {alert.id: alert for alert in self.told}
        return sorted(latest.values(), key=lambda alert: (alert.started_at, alert.topic, alert.judge))

    def as_json(self) -> dict[str, Any]:
        """Everything but the buckets, in plain JSON types."""
        return {
            "counted": self.counted,
            "late": self.late,
            "dead_lettered": self.dead,
            "repeats": self.repeats,
            "from": self.span[0].isoformat(),
            "to": self.span[1].isoformat(),
            "window": self.window,
            "alerts": [to_dict(alert) for alert in self.alerts],
            "timeline": {
                topic: [{**point._asdict(), "at": point.at.isoformat()} for point in points]
                for topic, points in self.timeline.items()
            },
        }


class _Line(msgspec.Struct):
    """A line of `finsentry dump scored`."""

    partition: int
    offset: int
    value: ScoredDocument


_lines = msgspec.json.Decoder(_Line)


def read_scored(lines: Iterable[bytes], name: str) -> Iterator[Placed]:
    """The scored documents in the lines of `finsentry dump scored`; empty lines are passed over.

    Raises `InputError` that names the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _lines.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                f"{name}, line {number}: not a scored document: {error}",
                fix="make the file with `finsentry dump scored > FILE`",
            ) from error
        if entry.value.schema > SCHEMA:
            raise InputError(
                f"{name}, line {number}: schema {entry.value.schema} is newer than {SCHEMA}",
                fix="use the version of finsentry that wrote it, or a newer one",
            )
        yield Placed(entry.partition, entry.offset, entry.value)


def from_archive(folder: Path) -> Iterator[Placed]:
    """The documents of an archive; see `stream.archive`. Raises `InputError`."""
    return (Placed(entry.partition, entry.offset, entry.document) for entry in read_archive(folder))


def score(documents: Iterable[Document], answer: Answering, stream: StreamSettings) -> Iterator[Placed]:
    """The documents as the stream would score them, all in one partition; give them in event order."""
    scorer = Scorer(topic="", max_text_bytes=stream.max_text_bytes)
    numbered = enumerate(documents)
    while batch := list(islice(numbered, BATCH)):
        received = [
            Received(0, offset, int(document.fetched_at.timestamp() * 1000), None, encode(document))
            for offset, document in batch
        ]
        for scored in scorer.score(received, datetime.now(UTC), answer):
            yield Placed(0, scored.offset, scored.document)


def backtest(
    scored: Iterable[Placed],
    alerts: AlertSettings,
    stream: StreamSettings,
    *,
    window: str = "",
    name: str = "input",
    holes: bool = False,
) -> Backtest:
    """Counts and judges the scored documents, as the stream does and with the same result.

    Each partition's come in the order of its log; partitions may be mixed. The timeline is of `window`, or of one that
    suits the length of time. Raises `InputError` where a partition has a hole (unless `holes` says that they are meant:
    an archive leaves out repeats and the dead), there is no such window, or nothing to count.
    """
    if window and window not in alerts.windows:
        known = ", ".join(alerts.windows)
        raise InputError(f"there is no window {window}", fix=f"the settings have {known}")
    counters = _count(scored, stream, name, holes=holes)
    buckets = sorted(
        (bucket for counter in counters for bucket in counter.changed()),
        key=lambda bucket: (bucket.topic, bucket.minute, bucket.partition),
    )
    table = WindowTable()
    for bucket in buckets:
        table.put(bucket)
    span = table.span()
    told: list[Alert] = []
    timeline: dict[str, list[Point]] = {}
    if span is None:
        raise InputError(f"{name} holds no document that can be counted", fix="check that it is the file you mean")
    # Offline all partitions are idle, so the watermark of the whole is the highest of all and goes no further.
    watermark = max(counter.watermark for counter in counters)
    window = window or _suitable(alerts, minute_of(watermark) - span[0])
    judge = Judge(alerts, lateness_minutes=stream.lateness_minutes)
    for moment in _moments(span[0], minute_of(watermark), alerts.windows[window].step_minutes):
        told += judge.advance(table, moment_of(moment))
        for verdict in judge.verdicts(table, window):
            if verdict.stories:
                timeline.setdefault(verdict.topic, []).append(_point(verdict))
    told += judge.advance(table, watermark)
    return Backtest(
        window=window,
        length=alerts.windows[window].minutes,
        told=told,
        timeline=timeline,
        buckets=buckets,
        counted=sum(counter.counted for counter in counters),
        late=sum(counter.late for counter in counters),
        dead=sum(counter.dead for counter in counters),
        repeats=sum(counter.repeats for counter in counters),
        span=(moment_of(span[0]), watermark),
    )


def _count(scored: Iterable[Placed], stream: StreamSettings, name: str, *, holes: bool) -> list[PartitionCounter]:
    lateness = timedelta(minutes=stream.lateness_minutes)
    counters: dict[int, PartitionCounter] = {}
    for partition, offset, document in scored:
        counter = counters.get(partition)
        if counter is None:
            counter = counters[partition] = PartitionCounter(partition, lateness=lateness, evidence=stream.evidence)
        if holes or not counter.position:
            counter.expire(offset)
        try:
            counter.count(offset, document)
        except GapError as error:
            raise InputError(f"{name}: {error}", fix="give the whole dump, in its order") from error
    return list(counters.values())


def _suitable(alerts: AlertSettings, minutes: int) -> str:
    """The longest window of which the span holds at least ten, else the shortest."""
    by_length = sorted(alerts.windows.items(), key=lambda item: item[1].minutes)
    fitting = [name for name, window in by_length if 10 * window.minutes <= minutes]
    return fitting[-1] if fitting else by_length[0][0]


def _moments(start: int, end: int, step: int) -> range:
    """At most about `POINTS` multiples of `step` in (start, end]."""
    stride = max(1, (end - start) // (POINTS * step)) * step
    return range((start // stride + 1) * stride, end + 1, stride)


def _point(verdict: Verdict) -> Point:
    low, high = verdict.baseline.range(verdict.stories, RANGE_Z)
    return Point(
        at=moment_of(verdict.at),
        stories=verdict.stories,
        negative=verdict.negative,
        share=verdict.share,
        lower_bound=verdict.lower_bound,
        baseline=verdict.baseline.mean,
        usual_low=low,
        usual_high=high,
        judged=verdict.judged,
    )
