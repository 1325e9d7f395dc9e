"""No URL leads into the network that crawls it."""

from collections.abc import Iterable

import pytest

from ingest.addresses import AddressGate, ForbiddenAddressError, is_public, resolve
from ingest.errors import FetchError


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # where clouds keep their credentials
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


def gate(*addresses: str, exceptions: Iterable[str] = (), allow_private: bool = False) -> AddressGate:
    return AddressGate(allow_private=allow_private, exceptions=exceptions, resolve=lambda *_: addresses)


def test_a_public_host_may_be_fetched() -> None:
    assert gate("8.8.8.8", "8.8.4.4").addresses("a.example", 443) == ["8.8.8.8", "8.8.4.4"]


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(ForbiddenAddressError, match=r"a\.example:443 is at 10\.0\.0\.1") as caught:
        gate("8.8.8.8", "10.0.0.1").addresses("a.example", 443)
    assert '"a.example:443"' in caught.value.fix


def test_an_exception_is_one_host_with_one_port() -> None:
    allowed = gate("127.0.0.1", exceptions=["127.0.0.1:8080", "sim.example:80"])
    assert allowed.addresses("127.0.0.1", 8080) == ["127.0.0.1"]
    assert allowed.addresses("SIM.example", 80) == ["127.0.0.1"]
    for host, port in (("127.0.0.1", 8081), ("localhost", 8080), ("sim.example", 443)):
        with pytest.raises(ForbiddenAddressError):
            allowed.addresses(host, port)


def test_an_exception_for_an_ipv6_address_stands_in_brackets() -> None:
    allowed = gate("::1", exceptions=["[::1]:8080"])
    assert allowed.addresses("::1", 8080) == ["::1"]  # as httpcore passes it
    with pytest.raises(ForbiddenAddressError, match=r"\[::1\]:8081 is at ::1") as caught:
        allowed.addresses("::1", 8081)
    assert '"[::1]:8081"' in caught.value.fix


def test_private_addresses_can_be_allowed_altogether() -> None:
    assert gate("10.0.0.1", allow_private=True).addresses("intranet.example", 80) == ["10.0.0.1"]


def test_a_name_that_does_not_resolve_says_so() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(FetchError, match=r"nowhere\.example cannot be resolved"):
        AddressGate(resolve=fail).addresses("nowhere.example", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "0"])
def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    with pytest.raises(FetchError):
        AddressGate(resolve=resolve).addresses(host, 80)
