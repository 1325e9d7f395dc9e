"""The files of a deployment in containers, as the tests look at them."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "deploy/compose.yaml"
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
METRICS_PORT = "9101"
"""Of every role in a container."""


def read_compose() -> dict[str, Any]:
    """compose.yaml with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def instructions(dockerfile: Path = DOCKERFILE) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, comments dropped and continued lines joined."""
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    pairs = [pair for name, rest in instructions() if name == "ENV" for pair in rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)
