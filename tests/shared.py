"""Data that developers have beside the checkout and nobody else needs."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


def shared(path: str) -> Path:
    """`path` in `shared/` beside the checkout, or where `FINSENTRY_SHARED` says; skips the test where it is absent."""
    folder = Path(os.environ.get("FINSENTRY_SHARED") or CHECKOUT.parent / "shared")
    found = folder / path
    if not found.exists():
        pytest.skip(f"needs {path}, which stands in neither ../shared nor FINSENTRY_SHARED")
    return found
