"""What every test may rely on: the settings of the machine and the working directory do not reach it."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# One profile everywhere: a slow machine must not turn a property into a flake, and a found failure must repeat.
settings.register_profile("finsentry", deadline=None, derandomize=True)
settings.load_profile("finsentry")

KEPT = ("FINSENTRY_SHARED",)
"""What steers the tests themselves."""


@pytest.fixture(autouse=True)
def no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own `FINSENTRY_*` variables change no test."""
    for name in list(os.environ):
        if name.startswith("FINSENTRY_") and name not in KEPT:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The project's root folder."""
    return Path(__file__).resolve().parent.parent
