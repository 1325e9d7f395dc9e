"""How ingest crawls the simulated web."""

from typing import Final

from deploy.local.simulation.outlets import OUTLETS, SOCIAL
from ingest.settings import FeedSource, FieldPaths, IngestSettings, JsonApiSource

FEED_SECONDS: Final = 3.0
POSTS_SECONDS: Final = 2.0


def simulation_settings(host: str, port: int) -> IngestSettings:
    """Settings that crawl the simulated web at `host:port` and nothing else, often enough to see a crisis at once."""
    base = f"http://{host}:{port}"
    feeds = tuple(
        FeedSource(name=outlet.key, url=f"{base}/feeds/{outlet.key}.xml", language="en", every_seconds=FEED_SECONDS)
        for outlet in OUTLETS
    )
    posts = JsonApiSource(
        name=SOCIAL,
        url=f"{base}/api/posts",
        language="en",
        every_seconds=POSTS_SECONDS,
        items="posts",
        fields=FieldPaths(),
        params={"limit": "200"},
        cursor_param="since",
        next_cursor="next",
    )
    return IngestSettings(
        sources=(*feeds, posts),
        # One machine plays six sites: the pause that one site deserves would make five of them wait.
        host_delay_seconds=0.0,
        private_exceptions=(f"{host}:{port}",),
        max_backoff_seconds=10.0,
    )
