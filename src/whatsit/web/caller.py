"""The caller of a request: whose word for an address counts, and what is counted together."""

import ipaddress
from collections.abc import Collection
from functools import lru_cache

from starlette.types import ASGIApp, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from whatsit.access.networks import Network
from whatsit.web.request_facts import facts_of

_UNKNOWN = "somebody"


def believe_proxies(app: ASGIApp, networks: Collection[Network]) -> ASGIApp:
    """The application, for which X-Forwarded-For and -Proto count if a proxy of ours sent them.

    Args:
        app: Answers the requests.
        networks: Where these proxies are; nothing is believed without any.
    """
    if not networks:
        return app
    trusted = [str(network) for network in networks]
    # Its types are the web server's own words for the same interface.
    return ProxyHeadersMiddleware(app, trusted)  # type: ignore[return-value, arg-type]


def caller_of(scope: Scope) -> str:
    """The API key of a request by its id, else its address as `caller_at` gives it."""
    key_id = facts_of(scope).key_id
    if key_id is not None:
        return f"key {key_id}"
    client = scope.get("client")
    return caller_at(client[0]) if client else _UNKNOWN


@lru_cache(4096)
def caller_at(host: str) -> str:
    """The caller at an address: an IPv4 address, the /64 network of an IPv6 one, or other text."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    # The owner of one IPv6 address usually has its whole /64 to choose from.
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
