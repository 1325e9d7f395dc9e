"""Dates as sources write them, into aware UTC. Pure: the clock is never asked to fill a gap."""

import math
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil import parser

EARLIEST_YEAR = 1900
"""Nothing that is replayed is older; an earlier year is a misread number."""

EPOCH_SECONDS = (1e8, 1e11)  # 1973 to 5138; milliseconds, microseconds and nanoseconds begin above it
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_COMPACT = re.compile(r"(?:19|20)\d{6}")
_ISO = re.compile(r"\d{4}-?\d\d-?\d\d([T ].*)?")
_YEAR_FIRST = re.compile(r"(\d{4})([/.])(\d{1,2})\2(\d{1,2})\b(.*)")
_SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{2}|\d{4})\b,?(.*)")
_MONTH = re.compile(r"(?i)\b(jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\b")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_OFFSET = re.compile(r"\b(?:UTC|GMT) ?([+-]) ?(\d{1,2}):?(\d\d)?\b")
"""dateutil reads `UTC+3` as POSIX does, three hours behind; sources mean ISO 8601, three hours ahead."""
_SPACE = re.compile(r"\s+")

_DEFAULTS = (datetime(2001, 1, 1), datetime(2004, 2, 2))  # noqa: DTZ001
"""What dateutil fills gaps from. Two parses that differ show a gap, as year, month and day all differ here."""

ZONES: dict[str, tzinfo] = {
    "UTC": UTC,
    "UT": UTC,
    "GMT": UTC,
    "Z": UTC,
    "ET": ZoneInfo("America/New_York"),
    "CT": ZoneInfo("America/Chicago"),
    "PT": ZoneInfo("America/Los_Angeles"),
    "EST": timezone(timedelta(hours=-5)),
    "EDT": timezone(timedelta(hours=-4)),
    "CST": timezone(timedelta(hours=-6)),
    "CDT": timezone(timedelta(hours=-5)),
    "MST": timezone(timedelta(hours=-7)),
    "MDT": timezone(timedelta(hours=-6)),
    "PST": timezone(timedelta(hours=-8)),
    "PDT": timezone(timedelta(hours=-7)),
    "BST": timezone(timedelta(hours=1)),
    "WET": UTC,
    "WEST": timezone(timedelta(hours=1)),
    "CET": timezone(timedelta(hours=1)),
    "CEST": timezone(timedelta(hours=2)),
    "EET": timezone(timedelta(hours=2)),
    "EEST": timezone(timedelta(hours=3)),
    "HKT": timezone(timedelta(hours=8)),
    "SGT": timezone(timedelta(hours=8)),
    "JST": timezone(timedelta(hours=9)),
}
"""Names that financial news uses, as RFC 2822 and London, New York, Hong Kong and Tokyo mean them; any other is an
error, since most abbreviations mean several zones."""


def parse_date(value: object, *, day_first: bool = False) -> datetime:
    """The moment that `value` names, in UTC; one without a zone is taken as UTC, one without a time as midnight.

    Takes a datetime, a date, seconds (or milli-, micro-, nanoseconds) since the epoch, and texts such as
    `19 July 2020`, `2020-07-19 10:11`, ISO 8601, RFC 2822, `7:51 PM ET Fri, 17 July 2020`, `19/07/2020`.
    Raises `ValueError` with the reason where year, month or day is missing or a guess would be needed, and of its kind
    `UnknownZoneError` where only the zone is not understood.
    """
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("no date" if value is None else f"{type(value).__name__} is no date")
    if isinstance(value, str):
        return _parse_text(_SPACE.sub(" ", value).strip(), day_first)
    try:
        return _from_epoch(float(value))
    except OverflowError:  # JSON has integers that no float can hold
        raise ValueError("a number of that size is no date") from None


@lru_cache(maxsize=4096)  # an archive names one day in many rows
def _parse_text(text: str, day_first: bool) -> datetime:
    if not text:
        raise ValueError("no date")
    if len(text) > 100:
        raise ValueError(f"{text[:40]!r}... is no date")
    if _COMPACT.fullmatch(text) or _ISO.fullmatch(text):
        return _from_iso(text)
    if _NUMBER.fullmatch(text):
        return _from_epoch(float(text))
    year_first = _YEAR_FIRST.fullmatch(text)
    if year_first:
        year, _, month, day, rest = year_first.groups()
        return _from_words(f"{year}-{int(month):02}-{int(day):02}{rest}")
    slashed = _SLASHED.fullmatch(text)
    if slashed:
        return _from_slashed(text, slashed, day_first)
    return _from_words(text)


def _from_epoch(number: float) -> datetime:
    if not math.isfinite(number):
        raise ValueError(f"{number} is no date")
    size = abs(number)
    if size < EPOCH_SECONDS[0]:
        raise ValueError(f"{number:g} is no date, nor seconds since the epoch later than 1973")
    for limit, unit in _EPOCH_UNITS:
        if size < limit:
            return _checked(datetime.fromtimestamp(number / unit, UTC))
    raise ValueError(f"{number:g} is no date")


def _from_iso(text: str) -> datetime:
    try:
        return _in_utc(datetime.fromisoformat(text))
    except ValueError:
        return _from_words(text)  # `2020-07-19 10:11 EST`


def _from_slashed(text: str, match: re.Match[str], day_first: bool) -> datetime:
    """Strict about the order: dateutil would swap day and month in those rows alone where it must."""
    first, separator, second, year, rest = match.groups()
    if len(year) == 2:
        raise ValueError(f"{text!r} has a year of two digits")
    day_first = day_first or separator == "."  # dots are written where the day comes first
    day, month = (int(first), int(second)) if day_first else (int(second), int(first))
    if month > 12:
        order = "month" if day_first else "day"
        raise ValueError(f"{text!r} has no month {month}: does the {order} come first (day_first)?")
    return _from_words(f"{int(year):04}-{month:02}-{day:02} {rest.strip()}".strip())


def _from_words(text: str) -> datetime:
    """Leaves the words to dateutil, but only where they name a month and a year of four digits: no order is guessed."""
    if not (_ISO.match(text) or (_MONTH.search(text) and _YEAR.search(text))):
        raise ValueError(f"{text!r} is no date with year, month and day")
    text = _OFFSET.sub(r"\1\2:\3", text).removesuffix(":")
    try:
        found = [parser.parse(text, default=default, tzinfos=_zone) for default in _DEFAULTS]
    except UnknownZoneError as error:
        raise UnknownZoneError(f"{text!r} has an unknown time zone, {error}") from None
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        raise ValueError(f"{text!r} is no date") from error
    first, second = found
    for part in ("year", "month", "day"):
        if getattr(first, part) != getattr(second, part):
            raise ValueError(f"{text!r} names no {part}")
    return _in_utc(first)


class UnknownZoneError(ValueError):
    """A zone's name that means several zones, or none."""


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is None:
        return None
    zone = ZONES.get(name.upper())
    if zone is None:
        raise UnknownZoneError(name)
    return zone


def _in_utc(moment: datetime) -> datetime:
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{moment} is out of range") from error
    return _checked(moment)


def _checked(moment: datetime) -> datetime:
    if moment.year < EARLIEST_YEAR:
        raise ValueError(f"the year {moment.year} is before {EARLIEST_YEAR}")
    return moment
