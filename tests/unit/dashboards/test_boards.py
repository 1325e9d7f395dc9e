"""The Grafana board asks only for what `stream.metrics` exports."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from dashboards.grafana.boards import OUTPUT, to_json
from stream import metrics
from stream.bulk_histogram import BulkHistogram
from tests.unit.dashboards.board_queries import BoardQuery, board_queries, variable_queries

SCRAPED = {"instance", "job"}
"""Labels that Prometheus gives to whatever it scrapes."""

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def exported() -> dict[str, set[str]]:
    """Every series name that Prometheus will see, with its labels."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase | BulkHistogram):
            (family,) = metric.describe()
            for suffix in SUFFIXES[family.type]:
                labels = {*getattr(metric, "_labelnames", ()), *(["le"] if suffix == "_bucket" else [])}
                found[family.name + suffix] = labels
    return found


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"finsentry_\w+", expression))


def labels_in(expression: str) -> set[str]:
    selected = re.findall(r"(\w+)\s*=~?\s*\"", expression)
    grouped = [label.strip() for group in re.findall(r"\bby\s*\(([^)]*)\)", expression) for label in group.split(",")]
    return {*selected, *grouped}


def test_the_committed_board_is_what_the_code_makes() -> None:
    assert OUTPUT.read_text(encoding="utf-8") == to_json(), "run: python -m dashboards.grafana.boards"


@pytest.mark.parametrize("query", board_queries(), ids=lambda query: f"{query.panel}: {query.expression}")
def test_every_query_asks_for_metrics_and_labels_that_are_exported(query: BoardQuery) -> None:
    known = exported()
    names = names_in(query.expression)

    assert names, "a query of no metric of ours"
    for name in names:
        assert name in known
        assert labels_in(query.expression) <= known[name] | SCRAPED


def test_every_metric_is_in_a_panel_but_how_many_windows_were_judged() -> None:
    shown = {name for query in board_queries() for name in names_in(query.expression)}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase | BulkHistogram):
            (family,) = metric.describe()
            seen = any(family.name + suffix in shown for suffix in SUFFIXES[family.type])
            assert seen or metric is metrics.EVALUATIONS, family.name


def test_before_anything_is_judged_nothing_is_fifty_years_behind_the_clock() -> None:
    (query,) = [query for query in board_queries() if query.panel == "Behind the clock"]
    assert query.expression == "time() - max(finsentry_judged_timestamp_seconds > 0)"


def test_the_variables_list_values_of_exported_labels() -> None:
    for query in variable_queries():
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
        assert found
        assert found[2] in exported()[found[1]]


def test_provisioning_names_the_source_and_the_folder_of_the_boards(checkout: Path) -> None:
    folder = checkout / "dashboards/grafana/provisioning"
    source = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"][0]
    provider = yaml.safe_load((folder / "dashboards/finsentry.yaml").read_text())["providers"][0]

    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert provider["options"]["path"] == "/etc/grafana/boards"
    assert not provider["allowUiUpdates"]
