"""What the alert service has read: the windows, how far event time has come, and the alerts that were told. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from stream.records import Alert, Bucket, Checkpoint
from stream.settings import StreamSettings
from stream.watermarks import NEVER, WholeWatermark
from stream.windows import WindowTable, minute_of


class WindowsState:
    """Filled from `windows` and `alerts`: first `put` everything that stands there, then call `loaded`, then go on."""

    def __init__(
        self, partitions: int, settings: StreamSettings, *, longest: timedelta, headlines: int, judged: datetime | None
    ) -> None:
        """`longest`: the longest window; `headlines`: on an alert; `judged`: what another run had come to."""
        self.table = WindowTable()
        self.alerts: dict[str, Alert] = {}
        """The last record of each alert."""
        self._longest = longest
        self._headlines = headlines
        self._judged = judged
        self._lateness = timedelta(minutes=settings.lateness_minutes)
        self._watermark = WholeWatermark(
            partitions,
            idle=timedelta(seconds=settings.idle_seconds),
            follow_clock=settings.follow_clock,
            loading=True,
        )

    def put(self, record: Bucket | Checkpoint | Alert, written: datetime) -> None:
        """Takes a record that was written at clock time `written`."""
        if isinstance(record, Bucket):
            bare = self._judged is not None and record.minute < self._judged - self._longest
            self.table.put(replace(record, evidence=()) if bare else record)
            if self._judged is not None and self.table.is_worth_thinning:
                self.table.thin(minute_of(self._judged), self._headlines)
        elif isinstance(record, Alert):
            self.alerts[record.id] = record
        else:
            self._watermark.observe(record, written)

    def loaded(self) -> None:
        """Everything that stood in the topics at the start has been put in."""
        self._watermark.loaded()

    def note_judged(self, until: datetime) -> None:
        """All windows up to `until` are judged, or up to where another run had come, if that is further."""
        self._judged = max(until, self._judged or until)

    def observe_ends(self, ends: Mapping[int, int]) -> None:
        """Takes where the partitions of `documents` end now."""
        self._watermark.observe_ends(ends)

    @property
    def closed(self) -> datetime:
        """No bucket before this moment can still change."""
        lowest = self._watermark.lowest
        return NEVER if lowest - NEVER <= self._lateness else lowest - self._lateness

    def watermark(self, now: datetime) -> datetime | None:
        """How far event time has come over all partitions at clock time `now`; None before the first document."""
        return self._watermark.at(now)
