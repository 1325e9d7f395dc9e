"""Which addresses a crawler may connect to: a URL in a feed must not reach into the network that crawls it."""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

from ingest.errors import FetchError

Resolve = Callable[[str, int], Iterable[str]]
"""Host and port to IP addresses; raises `OSError` where there are none."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address


class ForbiddenAddressError(FetchError):
    """A URL leads to a private, loopback or otherwise special address."""


def resolve(host: str, port: int) -> list[str]:
    """What the system's resolver gives, which also reads `127.1` and `0x7f000001`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; those that hold another one are judged by that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = _embedded(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:  # deprecated by RFC 3879, and still routed in old networks
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


class AddressGate:
    """Resolves a host, and refuses it where any of its addresses is not public."""

    def __init__(
        self, *, allow_private: bool = False, exceptions: Iterable[str] = (), resolve: Resolve = resolve
    ) -> None:
        """`exceptions` are `host:port` as they stand in URLs, in lower case; those may be private."""
        self._allow_private = allow_private
        self._exceptions = frozenset(exceptions)
        self._resolve = resolve

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, of which at least one exists.

        Raises `ForbiddenAddressError` where one is not allowed, `FetchError` where the name has none.
        """
        try:
            found = list(self._resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise FetchError(f"{host} cannot be resolved: {error}") from error
        if not found:
            raise FetchError(f"{host} has no address")
        pair = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self._allow_private or pair.lower() in self._exceptions:
            return found
        for address in found:
            if not is_public(address):
                raise ForbiddenAddressError(
                    f"{pair} is at {address}, which is not a public address",
                    fix=f'where that is meant, add "{pair}" to ingest.private_exceptions',
                )
        return found
