"""Where an address leads, by its spelling alone: nothing is looked up."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit


@lru_cache(maxsize=64)
def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own.

    Names below `localhost` are not: RFC 6761 wants them to be, and yet some systems ask a name server for them.
    """
    host = _host(url)
    return host == "localhost" or ((address := _address(host)) is not None and address.is_loopback)


@lru_cache(maxsize=64)
def is_private(url: str) -> bool:
    """Whether it is this machine's, or one of a private network, given by its number."""
    address = _address(_host(url))
    return is_loopback(url) or (address is not None and address.is_private)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
