"""Every query of the Grafana board, asked of the real Prometheus that scrapes the whole running pipeline."""

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from time import time
from typing import Any

import pytest

from deploy.local.processes import Process
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until
from tests.unit.dashboards.board_queries import BoardQuery, board_queries, variable_queries

pytestmark = pytest.mark.timeout(400)

MAY_BE_EMPTY = {
    "max by (topic, severity) (finsentry_alert_active)": "no alert has to stand in the first minute",
    "finsentry_dead_letters_total": "nothing that the made-up web publishes is unreadable",
    "finsentry_stage_errors_total": "nothing fails",
    "finsentry_documents_expired_total": "nothing is as old as the retention",
    "finsentry_rows_rejected_total": "every entry of the made-up web can become a document",
    "finsentry_input_drift_index": "fewer than a thousand texts may have been scored",
    "finsentry_documents_fallback_total": "with one bundle nothing asks for a language",
    "finsentry_archive_written_timestamp_seconds": "nothing archives",
    "finsentry_shadow_disagreement_ratio": "no shadow runs",
    "finsentry_shadow_negative_difference_ratio": "no shadow runs",
}
"""What has no series in a short and healthy run: counters with labels have none before they first count."""

SECONDS = 120
"""Until everything has been scraped twice and a window has been judged, on a machine that has more to do."""


def asked(prometheus: str, path: str, **parameters: str | float) -> Any:
    """The `data` of an answer. Raises `urllib.error.HTTPError` where Prometheus does not understand the question."""
    url = f"{prometheus}api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as response:
        answer = json.loads(response.read())
    assert answer["status"] == "success"
    return answer["data"]


def series(prometheus: str, query: BoardQuery) -> list[dict[str, str]]:
    """The labels of what a panel would draw of the last minutes: series with a number in them."""
    expression = query.filled(window="2m", interval="20s", time_range="10m")
    data = asked(prometheus, "query_range", query=expression, start=time() - 240, end=time(), step=5)
    return [found["metric"] for found in data["result"] if any(math.isfinite(float(v)) for _, v in found["values"])]


def up_and_running(process: Process) -> str:
    """Prometheus' address once the whole pipeline is ready; empty until then."""
    found = re.search(r"^prometheus\s+ready.*?(http://\S+)", process.output(), re.MULTILINE)
    ready = re.search(r"^finsentry\s+is up", process.output(), re.MULTILINE)
    return found[1] if found and ready else ""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Prometheus of `finsentry up --simulate`."""
    folder = tmp_path_factory.mktemp("grafana")
    variables = {"FINSENTRY_DATA_FOLDER": str(folder / "data"), "FINSENTRY_CONSOLE__PORT": "0"}
    commands = Finsentry(folder, variables)
    try:
        process = commands.start("up", "--simulate")
        wait_until(lambda: bool(up_and_running(process)), seconds=120, what="up and running")
        yield up_and_running(process)
        process.stop(seconds=20)
    finally:
        commands.close()


@pytest.mark.parametrize("query", board_queries(), ids=lambda query: f"{query.panel}: {query.expression}")
def test_every_query_of_the_board_is_answered(prometheus: str, query: BoardQuery) -> None:
    if any(part in query.expression for part in MAY_BE_EMPTY):
        series(prometheus, query)  # understood, with or without an answer
        return
    wait_until(lambda: bool(series(prometheus, query)), seconds=SECONDS, what=f"data for {query.expression}")


def test_legends_name_labels_that_the_answers_have(prometheus: str) -> None:
    for query in board_queries():
        # A label with no value, as `language` is for the default bundle, is not in an answer though it was asked for.
        kept = {label for labels in re.findall(r"by \(([^)]*)\)", query.expression) for label in labels.split(", ")}
        for found in series(prometheus, query):
            assert set(re.findall(r"{{(\w+)}}", query.legend)) <= found.keys() | kept


@pytest.mark.parametrize("query", variable_queries())
def test_every_variable_has_values_to_choose_from(prometheus: str, query: str) -> None:
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
    assert found
    metric, label = found.groups()

    def values() -> list[str]:
        chosen: list[str] = asked(prometheus, f"label/{label}/values", **{"match[]": metric})
        return chosen

    wait_until(lambda: bool(values()), seconds=SECONDS, what=f"values of {label}")
