"""The view as HTML: the whole page, or the fragments of it that a live page replaces. Everything is escaped."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboards.console import charts
from dashboards.console.explaining import Explained
from dashboards.console.settings import minutes_in
from dashboards.console.view import TopicView, View
from model.explain import Word

HERE = Path(__file__).parent

FRAGMENTS = ("banner", "status", "windows", "pipeline", "alerts", "topics", "headlines", "resolved", "detail")
"""Templates that are also the ids of the elements they fill."""

OF_THE_TOPIC = ("windows", "detail")
"""Those that depend on which topic is opened."""

Mood = Literal["critical", "warning", "calm", "waiting", "lost"]


class Page(NamedTuple):
    """A rendered view: what the browser shows outside the page, and fragments by their id."""

    title: str
    mood: Mood
    fragments: dict[str, str]


@cache
def _templates() -> Environment:
    """The templates beside this file, compiled once a process."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "percent": percent,
        "number": number,
        "length": length,
        "span": span,
        "duration": duration,
        "utc": utc,
        "iso": iso,
    }
    templates.globals |= {
        "spark": charts.spark,
        "chart": charts.chart,
        "SPARK_WIDTH": charts.SPARK_WIDTH,
        "SPARK_HEIGHT": charts.SPARK_HEIGHT,
        "CHART_WIDTH": charts.CHART_WIDTH,
        "SHARE_HEIGHT": charts.SHARE_HEIGHT,
        "STORIES_HEIGHT": charts.STORIES_HEIGHT,
    }
    return templates


def render_page(view: View, topic: TopicView | None, wanted: str = "") -> Page:
    """The fragments for `view` with `topic` opened; `wanted` names the topic that was asked for."""
    mood = mood_of(view)
    values = {"view": view, "mood": mood, "scale": charts.common_scale(view.topics), "topic": topic, "wanted": wanted}
    return Page(title_of(view), mood, {name: _render(name, values) for name in FRAGMENTS})


def open_topic(page: Page, view: View, topic: TopicView | None, wanted: str) -> Page:
    """The page of `view` without a topic, with this one opened: what does not depend on it is not rendered again."""
    values = {"view": view, "topic": topic, "wanted": wanted}
    return page._replace(fragments=page.fragments | {name: _render(name, values) for name in OF_THE_TOPIC})


def _render(name: str, values: Mapping[str, object]) -> str:
    return _templates().get_template(f"{name}.html").render(values)


def render_document(page: Page, *, opened: bool) -> str:
    """The whole page, which shows everything without a script too."""
    return _templates().get_template("page.html").render(page=page, opened=opened)


def render_sign_in(*, refused: bool) -> str:
    """The page that asks for the token."""
    return _templates().get_template("sign_in.html").render(refused=refused)


class MarkedWord(NamedTuple):
    """A word of an explanation as the page colours it."""

    text: str
    weight: float
    side: Literal["bad", "good"]
    strength: int
    """0, too little to be seen, to 4."""


def render_explanation(text: str, explained: Explained | None, *, longest: int, problem: str = "") -> str:
    """The page that says what each word of `text` did; without `explained` it asks for a text."""
    found, remarks = explained or (None, ())
    words = marked(found.words) if found else []
    page = _templates().get_template("explain.html")
    return page.render(text=text, found=found, words=words, remarks=remarks, longest=longest, problem=problem)


def marked(words: Sequence[Word]) -> list[MarkedWord]:
    """The words with a side and a strength, relative to the one that did most, but at least to a nat."""
    most = max([1.0, *(abs(word.weight) for word in words)])
    return [
        MarkedWord(word.text, word.weight, "bad" if word.weight > 0 else "good", round(4 * abs(word.weight) / most))
        for word in words
    ]


def mood_of(view: View) -> Mood:
    """What the page says in one word."""
    if view.firing:
        return view.firing[0].severity
    if view.pipeline.connection.state == "lost" or view.pipeline.stalled_since is not None:
        return "lost"
    return "waiting" if view.waiting else "calm"


def title_of(view: View) -> str:
    """The title of the browser's tab: what fires must be seen from another tab."""
    if view.firing:
        return f"({len(view.firing)}) {view.firing[0].topic} – FinSentry"
    if view.pipeline.connection.state == "lost":
        return "No connection – FinSentry"
    return "Not counting – FinSentry" if view.pipeline.stalled_since is not None else "FinSentry"


def percent(share: float) -> str:
    """0.1234 as 12%; what is little is not said to be nothing, nor what is much to be all."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{share:.0%}"


def number(value: float) -> str:
    """A count with its thousands apart; a small rate with one digit."""
    if isinstance(value, float) and value < 10:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:,.0f}"


def length(window: str) -> str:
    """`1h` as 1 hour; a window of another name as it is called."""
    try:
        minutes = minutes_in(window)
    except ValueError:
        return window
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes % size == 0 and minutes > size * (unit == "day"):
            count = minutes // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{minutes} minutes" if minutes > 1 else "1 minute"


def span(window: str) -> str:
    """`1h` as in "the last hour"."""
    return length(window).removeprefix("1 ")


def duration(minutes: int) -> str:
    """Minutes as a person says them, in the two largest units."""
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def utc(moment: datetime) -> str:
    """A moment for people, in UTC; the page's script shows it in the reader's zone."""
    return f"{moment.astimezone(UTC):%d %b %Y %H:%M} UTC"


def iso(moment: datetime) -> str:
    """A moment for programs."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
