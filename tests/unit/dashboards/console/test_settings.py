import pytest
from pydantic import SecretStr, ValidationError

from dashboards.console.settings import ConsoleSettings, is_loopback, minutes_in

TOKEN = SecretStr("0123456789abcdef")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert ConsoleSettings(host=host).token.get_secret_value() == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "console.example"])
def test_other_addresses_need_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ValidationError, match="set a token"):
        ConsoleSettings(host=host)
    assert ConsoleSettings(host=host, token=TOKEN).host == host


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValidationError, match="shorter than 16"):
        ConsoleSettings(token=SecretStr("secret"))


def test_the_token_is_not_shown() -> None:
    assert TOKEN.get_secret_value() not in repr(ConsoleSettings(token=TOKEN))


def test_the_first_window_is_one_that_can_be_chosen() -> None:
    with pytest.raises(ValidationError, match="window 2h is not one of windows 15m, 1h, 24h, 7d"):
        ConsoleSettings(window="2h")


@pytest.mark.parametrize(("window", "minutes"), [("15m", 15), ("1h", 60), ("24h", 1440), ("7d", 10080)])
def test_windows_are_lengths(window: str, minutes: int) -> None:
    assert minutes_in(window) == minutes


@pytest.mark.parametrize("window", ["", "h", "1", "0h", "-1h", "1 h", "1w", "1h\n", "99999d"])
def test_what_is_no_window_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="is not a window"):
        minutes_in(window)
    with pytest.raises(ValidationError):
        ConsoleSettings(window=window, windows=(window,))


def test_enough_is_retained_for_the_start_of_the_longest_chart() -> None:
    week, chart = 7 * 24 * 60, 8 * 24 * 60
    assert ConsoleSettings().retained_minutes() == chart + week
