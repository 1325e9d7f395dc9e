from datetime import timedelta
from typing import Any

import pytest

from dashboards.console import charts
from dashboards.console.history import Point
from dashboards.console.view import TopicRow, TopicView, build_topic_view, build_view
from tests.unit.dashboards.console.records import SETTINGS, START, alert, at, bucket, new_state, reach
from tests.unit.dashboards.console.test_view import LIVE


def row(*points: tuple[int, int, float | None], baseline: float | None = None) -> TopicRow:
    step = timedelta(minutes=10)
    trail = tuple(
        Point(START + index * step, START + (index + 1) * step, stories, negative, share)
        for index, (stories, negative, share) in enumerate(points)
    )
    return TopicRow(
        name="Macro",
        slug="macro",
        state="calm",
        documents=0,
        stories=0,
        negative_stories=0,
        share=None,
        baseline=baseline,
        trail=trail,
    )


def test_a_line_breaks_where_there_is_no_share() -> None:
    drawn = charts.spark(row((5, 1, 0.2), (0, 0, None), (5, 4, 0.8), (5, 5, 1.0)), scale=1.0)
    assert drawn.line.count("M") == 2
    assert drawn.area.count("Z") == 2
    assert drawn.end == (charts.SPARK_WIDTH, 1.0)


def test_shares_keep_within_the_picture() -> None:
    drawn = charts.spark(row((1, 0, 0.0), (1, 1, 0.5), baseline=0.25), scale=0.5)
    assert drawn.line == f"M84.0 {charts.SPARK_HEIGHT - 1} L168.0 1.0"
    assert drawn.baseline == charts.SPARK_HEIGHT / 2


def test_the_tallest_bar_has_the_whole_height_and_empty_steps_have_none() -> None:
    bars = charts.spark(row((8, 2, 0.2), (0, 0, None), (4, 4, 1.0)), scale=1.0).bars
    half = charts.SPARK_HEIGHT * charts.SPARK_STORIES
    assert [(bar.height, bar.negative_height) for bar in bars] == [(half, half / 4), (half / 2, half / 2)]
    assert {bar.top + bar.height for bar in bars} == {charts.SPARK_HEIGHT}


def test_a_trail_without_stories_draws_nothing() -> None:
    drawn = charts.spark(row((0, 0, None), (0, 0, None)), scale=0.5)
    assert (drawn.line, drawn.area, drawn.bars, drawn.end) == ("", "", (), None)


@pytest.mark.parametrize(("share", "scale"), [(0.0, 0.5), (0.5, 0.5), (0.51, 0.75), (0.76, 1.0), (1.0, 1.0)])
def test_all_sparklines_share_a_scale_of_quarters(share: float, scale: float) -> None:
    assert charts.common_scale([row((3, 1, 0.1)), row((3, 1, share))]) == scale


def opened(**fields: Any) -> TopicView:
    state = new_state()
    state.put_bucket(bucket("Macro", -800))  # old enough for the charts to have their full length
    state.put_bucket(bucket("Financials", 50, stories=20, negative=12))
    state.put_alert(alert(**fields))
    reach(state, 59)
    topic = build_topic_view(state, build_view(state, LIVE, "1h", SETTINGS, at(60)), "Financials", at(60))
    assert topic is not None
    return topic


def test_an_alert_is_a_band_over_the_time_it_held() -> None:
    drawn = charts.chart(opened(started_at=at(30)))
    (band,) = drawn.bands
    minute = charts.CHART_WIDTH / (12 * 60)
    assert band.width == pytest.approx(29 * minute, abs=0.1)
    assert band.x == pytest.approx((12 * 60 - 30) * minute, abs=0.1)


def test_an_alert_from_before_the_chart_begins_at_its_edge() -> None:
    (band,) = charts.chart(opened(started_at=at(-9000))).bands
    assert band.x == 0


def test_an_alert_that_ended_before_the_chart_is_no_band() -> None:
    drawn = charts.chart(opened(started_at=at(-9000), ended_at=at(-8000), evaluated_at=at(-8000), state="resolved"))
    assert drawn.bands == ()


def test_the_axes_have_round_labels() -> None:
    drawn = charts.chart(opened())
    assert drawn.shares == (0.75, 0.5, 0.25, 0.0)
    assert [tick.minute for tick in drawn.ticks] == [0] * 5
    assert drawn.most_stories == 20
