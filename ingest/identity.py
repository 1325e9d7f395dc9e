"""Which document is which: canonical URLs, and ids that a re-crawl gives again. Pure."""

import re
from hashlib import blake2b
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

TRACKING_PREFIXES = ("utm_", "at_", "ns_", "mc_", "hsa_", "pk_", "mtm_", "_hs")
"""Campaign parameters of Google Analytics, the BBC, comScore, Mailchimp, HubSpot and Matomo."""

TRACKING = frozenset(
    {"_ga", "_gl", "cmp", "cmpid", "dclid", "fbclid", "ftag", "ftcamp", "gbraid", "gclid", "guccounter", "icid"}
    | {"igsh", "igshid", "li_fat_id", "msclkid", "ocid", "scid", "smid", "smtyp", "spm", "srnd", "ttclid", "twclid"}
    | {"wbraid", "wt.mc_id", "xtor", "yclid"}
)
"""Parameters that say how a reader came, and never which page it is."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3
_ESCAPABLE = re.compile(r"%[0-9A-Fa-f]{2}|%|[^!-~]|[\"<>\\^`{|}]")


def canonical_url(url: str) -> str:
    """The one spelling of an http(s) URL under which its page is known; empty where `url` is none.

    Lower-case scheme and host (in its ASCII form), no default port, user, fragment, tracking parameter or trailing
    slash; dot segments resolved; query sorted; percent-encoding as RFC 3986 (6.2.2) normalises it. Idempotent.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return ""
    scheme = parts.scheme.lower()
    host = _host(parts)
    if scheme not in DEFAULT_PORTS or not host:
        return ""
    netloc = host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    path = _resolved(_normal(parts.path)).rstrip("/")
    query = "&".join(sorted(pair for pair in _normal(parts.query).split("&") if pair and not _is_tracking(pair)))
    return f"{scheme}://{netloc}{path}" + (f"?{query}" if query else "")


def identifies(url: str) -> bool:
    """Whether a canonical URL names a page of its own: a site's front page, shared by many entries, does not."""
    parts = urlsplit(url)
    return bool(parts.path or parts.query)


def document_id(source: str, *, url: str = "", native_id: str = "", content: str = "") -> str:
    """32 hex digits, the same whenever the same document is met again.

    Made from the canonical URL where it names a page, else from the source with its native id, else from the source
    with `content`. Raises `ValueError` where there is none of the three.
    """
    canonical = canonical_url(url) if url else ""
    if canonical and identifies(canonical):
        return _digest("url", canonical)
    if native_id:
        return _digest("native", source, native_id)
    if content:
        return _digest("content", source, content)
    raise ValueError("nothing tells this document from another")


def _digest(*parts: str) -> str:
    # Lengths stand before the parts, so that no two lists of parts give the same bytes.
    data = b"".join(b"%d:%b" % (len(raw), raw) for raw in (part.encode("utf-8", "surrogatepass") for part in parts))
    return blake2b(data, digest_size=16).hexdigest()


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        return f"[{host}]"
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    return host.lower() if re.fullmatch(r"[!-~]*", host) else ""


def _normal(text: str) -> str:
    def spell(match: re.Match[str]) -> str:
        found = match[0]
        if len(found) == 3:
            character = chr(int(found[1:], 16))
            return character if character in _UNRESERVED else found.upper()
        return "".join(f"%{byte:02X}" for byte in found.encode("utf-8", "surrogatepass"))

    return _ESCAPABLE.sub(spell, text)


def _resolved(path: str) -> str:
    """`path` without dot segments (RFC 3986, 5.2.4) and empty ones."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "".join(f"/{segment}" for segment in kept)


def _is_tracking(pair: str) -> bool:
    name = pair.partition("=")[0].lower()
    return name in TRACKING or name.startswith(TRACKING_PREFIXES)
