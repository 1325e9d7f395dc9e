"""Dates as sources write them, and guesses that are not made."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dates import UnknownZoneError, parse_date

MOMENT = datetime(2020, 7, 19, 10, 11, tzinfo=UTC)
DAY = datetime(2020, 7, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("19 July 2020", DAY),
        ("Jul 19 2020", DAY),
        ("July 19, 2020", DAY),
        ("19th of July 2020", DAY),
        ("2020-07-19", DAY),
        ("20200719", DAY),
        ("2020/07/19", DAY),
        ("  19   July\n2020 ", DAY),
        ("2020-07-19 10:11", MOMENT),
        ("2020-07-19T10:11:00Z", MOMENT),
        ("2020-07-19T12:11+02:00", MOMENT),
        ("20200719T101100", MOMENT),
        ("2020/7/19 10:11", MOMENT),
        ("Sun, 19 Jul 2020 10:11:00 GMT", MOMENT),
        ("Sun, 19 Jul 2020 10:11:00 UT", MOMENT),
        ("Sun, 19 Jul 2020 06:11:00 -0400", MOMENT),
        ("Sun, 19 Jul 2020 06:11:00 EDT", MOMENT),
        ("6:11  AM ET Sun, 19 July 2020", MOMENT),
        ("19 July 2020 11:11 BST", MOMENT),
        ("19 July 2020 13:11 UTC+3", MOMENT),
        ("19 July 2020 15:41 GMT+0530", MOMENT),
        ("July 19, 2020, 10:11 a.m.", MOMENT),
        ("19.07.2020 10:11", MOMENT),
        ("1595153460", MOMENT),
        ("1595153460000", MOMENT),
        ("1595153460000000", MOMENT),
        ("1595153460.0", MOMENT),
    ],
)
def test_a_date_is_read_in_many_spellings(text: str, moment: datetime) -> None:
    assert parse_date(text) == moment


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1595153460, MOMENT),
        (1595153460000, MOMENT),
        (1595153460.0, MOMENT),
        (date(2020, 7, 19), DAY),
        (datetime(2020, 7, 19, 10, 11), MOMENT),  # noqa: DTZ001
        (datetime(2020, 7, 19, 12, 11, tzinfo=timezone(timedelta(hours=2))), MOMENT),
    ],
)
def test_typed_dates_are_taken_as_they_are(value: object, moment: datetime) -> None:
    assert parse_date(value) == moment


def test_new_york_time_follows_the_season() -> None:
    assert parse_date("9:00 AM ET Fri, 17 January 2020") == datetime(2020, 1, 17, 14, tzinfo=UTC)
    assert parse_date("9:00 AM ET Fri, 17 July 2020") == datetime(2020, 7, 17, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("February 2019", "names no day"),
        ("2019 July", "names no day"),
        ("19 July", "year, month and day"),
        ("July", "year, month and day"),
        ("Monday", "year, month and day"),
        ("10:11", "year, month and day"),
        ("1 2 3", "year, month and day"),
        ("10 Oct 10", "year, month and day"),
        ("yesterday", "year, month and day"),
        ("2019-07", "year, month and day"),
        ("2020-02-30", "is no date"),
        ("31 June 2020", "is no date"),
        ("19 July 2020 10:11 XST", "unknown time zone, XST"),
        ("07/19/20", "two digits"),
        ("2019", "seconds since the epoch"),
        ("0", "seconds since the epoch"),
        ("0001-01-01", "before 1900"),
        ("9999-12-31T23:59:59-14:00", "out of range"),
        ("", "no date"),
        ("  ", "no date"),
        ("x" * 200, "is no date"),
    ],
)
def test_what_needs_a_guess_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_date(text)


@pytest.mark.parametrize(
    "value", [None, True, [], {}, float("nan"), float("inf"), 1e30, pytest.param(10**400, id="huge")]
)
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no date"):
        parse_date(value)


def test_a_zone_that_is_not_known_can_be_told_from_other_errors() -> None:
    with pytest.raises(UnknownZoneError):
        parse_date("19 July 2020 10:11 XST")


def test_the_order_of_day_and_month_is_what_the_option_says() -> None:
    assert parse_date("03/04/2020") == datetime(2020, 3, 4, tzinfo=UTC)
    assert parse_date("03/04/2020", day_first=True) == datetime(2020, 4, 3, tzinfo=UTC)


def test_the_order_of_day_and_month_never_changes_by_itself() -> None:
    with pytest.raises(ValueError, match="does the day come first"):
        parse_date("19/07/2020")
    with pytest.raises(ValueError, match="does the month come first"):
        parse_date("07/19/2020", day_first=True)


moments = st.datetimes(datetime(1974, 1, 1), datetime(2099, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(moments)
def test_every_spelling_of_a_moment_means_it(moment: datetime) -> None:
    assert parse_date(moment.isoformat()) == moment
    assert parse_date(f"{moment:%d %B %Y %H:%M:%S}") == moment
    assert parse_date(f"{moment:%a, %d %b %Y %H:%M:%S} +0000") == moment
    assert parse_date(f"{moment:%d/%m/%Y %H:%M:%S}", day_first=True) == moment
    assert parse_date(f"{moment:%m/%d/%Y %H:%M:%S}") == moment
    assert parse_date(int(moment.timestamp())) == moment
    assert parse_date(str(int(moment.timestamp() * 1000))) == moment


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[0-9A-Za-z/:., +-]{0,30}", fullmatch=True)))
def test_any_text_is_an_aware_date_or_a_value_error(text: str) -> None:
    try:
        moment = parse_date(text)
    except ValueError:
        return
    assert moment.utcoffset() == timedelta(0)
    assert moment.year >= 1900
