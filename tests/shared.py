"""Data that developers have beside the checkout and nobody else needs."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


def shared(path: str) -> Path:
    """`path` in `shared/` beside the checkout, or where `LABELLED_DATA` says; skips the test where it is absent."""
    folder = Path(os.environ.get("LABELLED_DATA") or CHECKOUT.parent / "shared")
    found = folder / path
    if not found.exists():
        pytest.skip(f"needs {path}, which stands in neither ../shared nor LABELLED_DATA")
    return found
