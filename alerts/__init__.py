"""The judge: windows in, alerts out. Computes no windows of its own."""

from pathlib import Path

RULES = Path(__file__).with_name("rules") / "finsentry.yaml"
"""The Prometheus rules."""

ALERTMANAGER_CONFIG = Path(__file__).with_name("alertmanager.yaml")
