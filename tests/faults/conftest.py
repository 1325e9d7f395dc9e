"""How much is done."""

import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a test goes on."""

    documents: int
    kills: int
    broker_kills: int
    cluster_documents: int
    node_kills: int
    sick_seconds: int
    buckets: int
    backlog: int
    slow_seconds: int


SHORT = Scale(
    documents=15_000,
    kills=4,
    broker_kills=2,
    cluster_documents=6_000,
    node_kills=2,
    sick_seconds=4,
    buckets=100_000,
    backlog=16_000,
    slow_seconds=8,
)
LONG = Scale(
    documents=200_000,
    kills=30,
    broker_kills=5,
    cluster_documents=50_000,
    node_kills=12,
    sick_seconds=60,
    buckets=1_000_000,
    backlog=60_000,
    slow_seconds=90,
)


@pytest.fixture(scope="session")
def scale() -> Scale:
    """`FAULTS=long` is what `make faults` runs."""
    return LONG if os.environ.get("FAULTS") == "long" else SHORT
