"""Personal data goes, what finance is about stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.privacy import mask

REGIONS = ("US", "GB")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("@jane_doe is right", "@user is right"),
        ("RT @a_b: sell", "RT @user: sell"),
        ("(@jane)", "(@user)"),
        ("@jane@mastodon.example hi", "@user hi"),
        ("mail jane.doe+x@bank.example.com now", "mail [email] now"),
        ("call +44 7911 123456", "call [phone]"),
        ("call +1 (415) 555-2671!", "call [phone]!"),
        ("call (415) 555-2671", "call [phone]"),
        ("call 020 7946 0958", "call [phone]"),
        ("call 07911123456", "call [phone]"),
        ("u/spez and /user/some_one say", "@user and @user say"),
        ("https://x.com/jane/status/1", "https://x.com/@user/status/1"),
        ("https://mastodon.example/@jane/99", "https://mastodon.example/@user/99"),
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text, phone_regions=REGIONS) == masked


@pytest.mark.parametrize(
    "text",
    [
        "$AAPL and $BRK.B up 5% #earnings",
        "S&P 500 at 3,225.52, DJIA 26,671.95",
        "volume 2125551234 shares, 1,234,567,890 outstanding",
        "on 2020-07-19 10:11:12 and 19/07/2020",
        "ISIN US0378331005, CUSIP 037833100",
        "2018 2019 2020 2021",
        "bought @ 12.50, sold @ 13",
        "https://news.example/2020/07/19/1234567890123",
        "a/b testing, and/or, i/o",
    ],
)
def test_figures_and_tickers_stay(text: str) -> None:
    assert mask(text, phone_regions=REGIONS) == text


fragments = st.sampled_from(
    ["@jane", "@user", "a@b.co", "[email]", "[phone]", "+44 7911 123456", "u/spez", "/user/", "x.com/", "@", "/", ".",
     " ", "555-2671", "(415)", "é", "\n", "u/", "mastodon.example"]
)  # fmt: skip


@given(st.lists(fragments, max_size=12).map("".join))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = mask(text, phone_regions=REGIONS)
    assert mask(once, phone_regions=REGIONS) == once


@given(st.text(max_size=200))
def test_any_text_can_be_masked(text: str) -> None:
    assert "@" in text or "/" in text or mask(text) == text or any(character.isdigit() for character in text)
