"""The queries of the Grafana board, as its JSON holds them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BOARD = Path(__file__).resolve().parents[3] / "dashboards/grafana/finsentry.json"


class BoardQuery(NamedTuple):
    """One query and the panel that it belongs to."""

    panel: str
    expression: str
    legend: str

    def filled(self, *, window: str, interval: str, time_range: str) -> str:
        """The expression with Grafana's variables as for all topics."""
        values = {"$__rate_interval": interval, "$__range": time_range, "$window": window, "$topic": ".+"}
        expression = self.expression
        for variable, value in values.items():
            expression = expression.replace(variable, value)
        return expression


def board_queries() -> list[BoardQuery]:
    """Every query of every panel."""
    return list(_queries(json.loads(BOARD.read_text(encoding="utf-8"))["panels"]))


def variable_queries() -> list[str]:
    """The queries that fill the board's variables."""
    variables = json.loads(BOARD.read_text(encoding="utf-8"))["templating"]["list"]
    return [variable["query"] for variable in variables if variable["type"] == "query"]


def _queries(panels: list[dict[str, Any]]) -> Iterator[BoardQuery]:
    for panel in panels:
        yield from _queries(panel.get("panels") or [])
        for target in panel.get("targets", []):
            yield BoardQuery(panel["title"], target["expr"], target["legendFormat"])
