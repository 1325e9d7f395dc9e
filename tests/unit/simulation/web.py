"""A client of an ASGI application, with no server between."""

import asyncio
from collections.abc import Mapping

import httpx
from starlette.applications import Starlette

BASE = "http://simulated.test"


class Web:
    """Asks one application."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app)

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url=BASE) as client:
                return await client.get(url, params=params, headers=headers)

        return asyncio.run(ask())
