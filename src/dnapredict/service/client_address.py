"""The address that a request comes from: by which anonymous clients are distinguished.

`X-Forwarded-For` is believed only where the connection itself comes from a proxy that the settings name, and
then only its last entry that is no such proxy: what a client wrote itself is further left.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

# Where the address is found in an ASGI scope, once `AccessControl` has set it.
ADDRESS: Final = "dnapredict.address"
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
_IPV6_HOST_PREFIX: Final = 64


def networks(texts: Sequence[str]) -> Networks:
    """The addresses and networks that the settings name."""
    return tuple(ipaddress.ip_network(text) for text in texts)


@lru_cache(maxsize=4_096)
def in_networks(address: str, those: Networks) -> bool:
    """Whether an address belongs to one of them."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in those)


@lru_cache(maxsize=4_096)
def grouped(address: str) -> str:
    """The address by which a client is counted: of IPv6 its network, since one host has all of its addresses.

    >>> grouped("192.0.2.7"), grouped("::ffff:192.0.2.7"), grouped("2001:db8:1:2:3:4:5:6")
    ('192.0.2.7', '192.0.2.7', '2001:db8:1:2::/64')
    """
    parsed = _parsed(address)
    if parsed is None or parsed.version == 4:
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_HOST_PREFIX), strict=False))


def client_address(scope: Scope, *, peer: str, proxies: Networks) -> str:
    """The address of the client, `peer` or what its proxy says."""
    if not in_networks(peer, proxies):
        return grouped(peer)
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    for entry in reversed([each.strip() for each in forwarded.split(",")]):
        if _parsed(entry) is None:
            break
        if not in_networks(entry, proxies):
            return grouped(entry)
    return grouped(peer)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped or parsed
