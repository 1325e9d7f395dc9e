"""The three kinds of panel that the board is made of."""

from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


class Query(NamedTuple):
    """An expression and how Grafana names its series; `{{label}}` stands for a label's value."""

    expression: str
    legend: str


def _targets(queries: tuple[Query, ...]) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().ref_id(chr(ord("A") + index)).expr(query.expression).legend_format(query.legend)
        for index, query in enumerate(queries)
    ]


def lines(title: str, description: str, *queries: Query, unit: str = "short") -> timeseries.Panel:
    """Series over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .height(8)
        .draw_style(GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(StackingMode.NONE))
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for target in _targets(queries):
        panel.with_target(target)
    return panel


def number(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    thresholds: tuple[tuple[float | None, str], ...] = ((None, "text"),),
    names: bool = False,
) -> stat.Panel:
    """The last value, large."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .height(8)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value, colour) for value, colour in thresholds])
        )
    )
    if names:
        panel.text_mode(BigValueTextMode.NAME)
    for target in _targets(queries):
        panel.with_target(target)
    return panel


def states(title: str, description: str, query: Query, words: dict[int, tuple[str, str]]) -> statetimeline.Panel:
    """What held when: a value is a word and a colour."""
    mapping = ValueMap({str(value): ValueMappingResult(text, colour) for value, (text, colour) in words.items()})
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(8)
        .show_value(VisibilityMode.NEVER)
        .mappings([mapping])
    )
    for target in _targets((query,)):
        panel.with_target(target)
    return panel
