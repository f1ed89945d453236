"""The client address of a request, which distinguishes anonymous clients, and the scheme that the client uses.

`X-Forwarded-For` and `X-Forwarded-Proto` are trusted only if the connection comes from a configured proxy, and of the
first only the last entry that is not such a proxy: entries further left may have been written by the client.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

# The key of the address in an ASGI scope, set by `AccessControl`.
ADDRESS: Final = "dnapredict.address"
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
_IPV6_HOST_PREFIX: Final = 64
_SCHEMES: Final = ("http", "https")


def networks(texts: Sequence[str]) -> Networks:
    """The proxies in the settings as networks."""
    return tuple(ipaddress.ip_network(text) for text in texts)


@lru_cache(maxsize=4_096)
def in_networks(address: str, those: Networks) -> bool:
    """Whether an address belongs to one of the networks."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in those)


@lru_cache(maxsize=4_096)
def grouped(address: str) -> str:
    """The address by which a client is counted: for IPv6 its /64 network, since one host owns all of it.

    >>> grouped("192.0.2.7"), grouped("::ffff:192.0.2.7"), grouped("2001:db8:1:2:3:4:5:6")
    ('192.0.2.7', '192.0.2.7', '2001:db8:1:2::/64')
    """
    parsed = _parsed(address)
    if parsed is None or parsed.version == 4:
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_HOST_PREFIX), strict=False))


def client_address(scope: Scope, *, peer: str, proxies: Networks) -> str:
    """The client's address: `peer`, or the one that its proxy reports."""
    if not in_networks(peer, proxies):
        return grouped(peer)
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    for entry in reversed([each.strip() for each in forwarded.split(",")]):
        if _parsed(entry) is None:
            break
        if not in_networks(entry, proxies):
            return grouped(entry)
    return grouped(peer)


def request_scheme(scope: Scope, *, peer: str, proxies: Networks) -> str:
    """The scheme by which the client reaches the service: what its proxy reports, or that of the connection."""
    reported = Headers(scope=scope).get("x-forwarded-proto", "").strip().lower()
    own: str = scope.get("scheme", "http")
    return reported if reported in _SCHEMES and in_networks(peer, proxies) else own


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped or parsed
