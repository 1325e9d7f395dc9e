"""Who may look, and what a browser may do with what it gets. Plain ASGI, so that streams pass through untouched."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.console.settings import is_loopback

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}

COOKIE = "finsentry_console"
OPEN = ("/ready", "/sign-in", "/static/")
"""What everybody may see: whether the console runs, and the way in."""


def session_of(token: str) -> str:
    """The cookie of who signed in with `token`: the token cannot be told from it, and a new token ends it."""
    key = blake2b(token.encode()).digest()  # as long as a key may be, whatever the length of the token
    return blake2b(b"console session", key=key, digest_size=32).hexdigest()


def same(a: str, b: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return compare_digest(a.encode(), b.encode())


class Guard:
    """Adds the headers to every response and lets in whoever has the token.

    Without a token only requests that name a loopback host pass: a page elsewhere on the web must not reach the
    console through a name of its own that points to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if not self._token:
            if is_loopback(_host(headers)):
                return None
            return PlainTextResponse("This console answers to localhost.\n", 421)
        path = scope["path"]
        if any(path == way or (way.endswith("/") and path.startswith(way)) for way in OPEN) or self._knows(headers):
            return None
        if path == "/" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/sign-in", 303)
        return PlainTextResponse("The token is missing or wrong.\n", 401, {"WWW-Authenticate": "Bearer"})

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # A header is bytes, which Starlette reads as Latin-1 and clients send as UTF-8.
        if scheme.lower() == "bearer" and compare_digest(given.encode("latin-1").strip(), self._token.encode()):
            return True
        # All ports of a host share cookies, and the standard library's parser stops at the first that it dislikes.
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        return cookie is not None and same(cookie, session_of(self._token))


def _host(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:  # as of `[`
        return ""


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            # Numbers of a minute ago are wrong, and what needs a token must not lie in a cache.
            headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
        await send(message)

    return wrapped
