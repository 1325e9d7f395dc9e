"""What the console shows and where it listens. Section `console`."""

import re
from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from dashboards.console.history import steps_of

MINUTES_IN = {"m": 1, "h": 60, "d": 24 * 60}
WINDOW_PATTERN = r"^[1-9][0-9]{0,3}[mhd]$"

WindowName = Annotated[str, StringConstraints(pattern=WINDOW_PATTERN)]
"""A length as the settings and the alerts write it: `15m`, `1h`, `7d`."""

SHORTEST_TOKEN = 16
"""Characters; a token of this length made at random cannot be guessed over a network."""


def minutes_in(window: str) -> int:
    """The length of `window` in minutes. Raises `ValueError` where it is not a number followed by m, h or d."""
    if not re.fullmatch(WINDOW_PATTERN, window):
        raise ValueError(f"{window!r} is not a window: write a number and m, h or d, like 15m, 1h or 7d")
    return int(window[:-1]) * MINUTES_IN[window[-1]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name other than localhost counts as reachable."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class ConsoleSettings(BaseModel):
    """Where the console listens, who may look, and how much it shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; beyond loopback needs a token.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    token: SecretStr = Field(
        SecretStr(""),
        description="Whoever has it, as a bearer token or by signing in, may look; empty: everybody may.",
    )
    windows: tuple[WindowName, ...] = Field(
        ("15m", "1h", "24h", "7d"), min_length=1, max_length=8, description="Windows a reader can choose from."
    )
    window: WindowName = Field("1h", description="The window that is shown first; one of `windows`.")
    history: WindowName = Field("7d", description="How far back the charts of the longest window go.")
    enough_stories: int = Field(
        10, ge=1, description="A share of fewer stories is shown, but ranks below those with enough."
    )
    headlines: int = Field(20, ge=1, le=200, description="Latest negative headlines shown.")
    resolved: int = Field(5, ge=0, le=100, description="Recently resolved alerts shown.")
    readers: int = Field(64, ge=1, description="Most pages that are kept live at once; the next one is refused.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        token = self.token.get_secret_value()
        if token and len(token) < SHORTEST_TOKEN:
            raise ValueError(f"token is shorter than {SHORTEST_TOKEN} characters")
        if not token and not is_loopback(self.host):
            raise ValueError(f"host {self.host} can be reached from outside this machine: set a token, or 127.0.0.1")
        if self.window not in self.windows:
            raise ValueError(f"window {self.window} is not one of windows {', '.join(self.windows)}")
        return self

    def retained_minutes(self) -> int:
        """How much event time must be held to draw every chart."""
        history = minutes_in(self.history)
        return max(steps_of(length, history).reach + length for length in map(minutes_in, self.windows))
