"""The simulated web: feeds, article pages and a social API over a scenario. Loopback only; keeps nothing."""

from collections.abc import Mapping
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.simulation.outlets import BY_KEY, OUTLETS, SOCIAL
from deploy.local.simulation.scenario import Scenario
from deploy.local.simulation.timeline import Clock, Publication, Timeline

FEED_ITEMS: Final = 200
"""A feed holds what the busiest outlet publishes in a run in half a minute and more: polls of seconds miss nothing."""

RELATED: Final = 4
MOST_POSTS: Final = 500
MEDIA_TYPES: Final = {"rss": "application/rss+xml", "atom": "application/atom+xml"}
ROBOTS: Final = "User-agent: *\nDisallow: /account/\nDisallow: /search\n"


def create_app(scenario: Scenario, clock: Clock) -> Starlette:
    """The web of a scenario that starts now, with a past behind it."""
    web = _Web(Timeline(scenario, clock(), clock))
    return Starlette(
        routes=[
            Route("/", web.index),
            Route("/ready", web.ready),
            Route("/robots.txt", web.robots),
            Route("/feeds/{outlet}.xml", web.feed),
            Route("/api/posts", web.posts),
            Route(f"/{SOCIAL}/{{token}}", web.post),
            Route("/{outlet}/{token}/{slug}", web.article),
        ]
    )


class _Web:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._pages = Environment(
            loader=PackageLoader(__package__, "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._pages.filters["http_date"] = lambda moment: format_datetime(moment, usegmt=True)

    async def index(self, _: Request) -> Response:
        scenario, elapsed = self._timeline.scenario, self._timeline.elapsed()
        return self._html("index.html", scenario=scenario, elapsed=elapsed, phase=scenario.course.phase(elapsed))

    async def ready(self, _: Request) -> Response:
        scenario, elapsed = self._timeline.scenario, self._timeline.elapsed()
        phase = scenario.course.phase(elapsed)
        return JSONResponse({"ready": True, "seed": scenario.seed, "started": self._timeline.epoch, "phase": phase})

    async def robots(self, _: Request) -> Response:
        return PlainTextResponse(ROBOTS)

    async def feed(self, request: Request) -> Response:
        outlet = BY_KEY.get(request.path_params["outlet"])
        if outlet is None:
            return self._missing()
        newest = self._timeline.newest(outlet.key, FEED_ITEMS)
        headers = _validators(newest)
        if _is_known(request.headers, headers):
            return Response(status_code=304, headers=headers)
        base = str(request.base_url).rstrip("/")
        text = self._pages.get_template(f"feed.{outlet.form}.xml").render(outlet=outlet, items=newest, base=base)
        return Response(text, media_type=MEDIA_TYPES[outlet.form], headers=headers)

    async def article(self, request: Request) -> Response:
        found = self._timeline.find(request.path_params["token"])
        outlet = BY_KEY.get(request.path_params["outlet"])
        if found is None or outlet is None or found.draft.outlet != outlet.key:
            return self._missing()
        related = [item for item in self._timeline.newest(outlet.key, RELATED + 1) if item.token != found.token]
        return self._html("article.html", outlet=outlet, item=found, related=related[:RELATED])

    async def post(self, request: Request) -> Response:
        found = self._timeline.find(request.path_params["token"])
        if found is None or found.draft.outlet != SOCIAL:
            return self._missing()
        return self._html("post.html", item=found)

    async def posts(self, request: Request) -> Response:
        query = request.query_params
        try:
            limit = min(MOST_POSTS, max(1, int(query.get("limit", "100"))))
            found, cursor = self._timeline.posts_after(query.get("since", ""), limit)
        except ValueError as error:  # CursorError is one
            return JSONResponse({"error": str(error)}, status_code=400)
        base = str(request.base_url).rstrip("/")
        return JSONResponse({"posts": [_post(item, base) for item in found], "next": cursor})

    def _html(self, page: str, **values: object) -> Response:
        return HTMLResponse(self._pages.get_template(page).render(outlets=OUTLETS, **values))

    def _missing(self) -> Response:
        return HTMLResponse(self._pages.get_template("missing.html").render(outlets=OUTLETS), status_code=404)


def _post(item: Publication, base: str) -> dict[str, str]:
    return {
        "id": item.token,
        "text": item.draft.story.title,
        "created_at": item.at.isoformat(timespec="milliseconds"),
        "author": f"@{item.draft.author}",
        "url": base + item.path,
    }


def _validators(newest: list[Publication]) -> dict[str, str]:
    """`ETag` and `Last-Modified`. What a feed holds follows from its newest item."""
    if not newest:
        return {"ETag": '"empty"'}
    return {
        "ETag": f'"{newest[0].token}"',
        "Last-Modified": format_datetime(newest[0].at.replace(microsecond=0), usegmt=True),
    }


def _is_known(asked: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether the client has this version already: RFC 9110, 13.2.2, where `If-None-Match` goes first."""
    if (tags := asked.get("if-none-match")) is not None:
        return now["ETag"] in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    since, modified = asked.get("if-modified-since"), now.get("Last-Modified")
    if since is None or modified is None:
        return False
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except ValueError:
        return False
