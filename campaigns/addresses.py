"""A URL that somebody typed in; the network addresses it may be called at, or why it may not be called at all, out.

A webhook is called from within our own network, so whoever chooses its URL could reach what only we can reach
(server-side request forgery). What counts is the address that is connected to, not the name: names are resolved once,
every answer is judged, and the caller connects to just these.
Sources: https://owasp.org/www-community/attacks/Server_Side_Request_Forgery, RFC 6890 (special-purpose addresses),
RFC 6052 and RFC 3056 (IPv4 within IPv6).
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import httpx
from django.conf import settings

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
PORTS: Final = {"http": 80, "https": 443}
# Prefixes whose last 32 bits are an IPv4 address that a gateway connects to.
TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# Not public either, though Python's own tables say so: RFC 6890 (2.2.2), RFC 7526, RFC 3879.
SPECIAL: Final = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"), ip_network("fec0::/10"))


class Refused(ValueError):
    """Why a URL must not be called, and what to do about it."""


class Unknown(Refused):
    """A name that the resolver does not know, or could not ask for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be called: `strict` in production; `private` are hosts and networks that may be, though private."""

    strict: bool
    private: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL points: its host is a name or an address, its `url` the parsed whole."""

    url: httpx.URL
    host: str
    port: int


def limits() -> Limits:
    """Those of the settings."""
    return Limits(settings.STRICT, tuple(settings.WEBHOOK_PRIVATE_HOSTS))


def place_of(text: str, limits: Limits) -> Place:
    """Where the URL points. Raises Refused for what its text alone tells."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise Refused(f"This is no URL that can be called: {error}.") from None
    if url.scheme not in PORTS:
        raise Refused("Only http and https can be called; begin it with https://.")
    host = url.raw_host.decode("ascii").strip("[]").rstrip(".")
    if not host:
        raise Refused("The URL has no host; write it whole, for example https://hooks.example.com/segments.")
    if url.userinfo:
        raise Refused("Leave user and password out of the URL: calls are signed, and a URL is shown and logged.")
    if limits.strict and url.scheme != "https" and host not in limits.private:
        raise Refused("Only https can be called: the body tells about customers. Begin it with https://.")
    port = PORTS[url.scheme] if url.port is None else url.port
    if not 0 < port < 65536:
        raise Refused(f"There is no port {port}; write one from 1 to 65535, or leave it out.")
    return Place(url, host, port)


def allowed(host: str, found: Sequence[str], limits: Limits) -> list[str]:
    """The addresses of this host that may be connected to: all of them. Raises Refused when one may not.

    All or none: a name that answers with one address of ours among others is not one to be trusted.
    """
    if not found:
        raise Refused(f"The host {host} has no address; check its spelling.")
    for text in found:
        address = ip_address(text.partition("%")[0])
        if not _may_call(host, address, limits):
            raise Refused(
                f"{host} is at {address}, which is not on the public internet; such an address is not called. "
                "If it is meant, name the host or its network in WEBHOOK_PRIVATE_HOSTS."
            )
    return list(found)


def _may_call(host: str, address: Address, limits: Limits) -> bool:
    meant = _meant(address)
    if not limits.strict and meant.is_loopback:
        return True
    return _is_public(meant) or any(_covers(named, host, meant) for named in limits.private)


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved or any(address in network for network in SPECIAL)
    return address.is_global and not special


def _covers(named: str, host: str, address: Address) -> bool:
    """Whether an entry of the list is this host, this address, or a network around it."""
    if named.lower() == host.lower():
        return True
    try:
        return address in ip_network(named, strict=False)
    except ValueError:
        return False  # a name


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host, as the system's resolver tells. Raises Unknown, which another try may cure."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unknown(f"The host {host} was not found ({error}); check its spelling.") from None
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def check(text: str, limits: Limits, resolve: Resolve = resolve) -> None:
    """Raise Refused for a URL that would not be called now; for forms, before it is saved."""
    place = place_of(text, limits)
    allowed(place.host, resolve(place.host, place.port), limits)
