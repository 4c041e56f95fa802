"""Only what the visitor of our own page wanted: rules against pages of other sites."""

from collections.abc import Mapping

from starlette.types import Scope

from whatsit.errors import MalformedRequest, OriginNotAllowed

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FROM_HERE = frozenset({b"same-origin", b"none"})
_USUAL_PORTS = {b"http": b":80", b"https": b":443"}
_ONCE = frozenset(
    {
        *(b"host", b"origin", b"sec-fetch-site", b"authorization", b"x-api-key"),
        *(b"x-whatsit-page", b"content-type", b"content-encoding", b"sec-websocket-key"),
        *(b"sec-websocket-version", b"x-forwarded-host", b"x-forwarded-proto"),
    }
)


class OriginRule:
    """Refuses what a page of another site makes its visitor's browser send.

    That is every WebSocket and every request that may change something or make work. Browsers say
    where such a request comes from; other programs do not, and are let through.

    A request that has a decisive header twice is refused as well: a reader of the first one and a
    reader of the last one would not agree.
    """

    async def refusal(self, scope: Scope) -> MalformedRequest | OriginNotAllowed | None:
        """See `Rule.refusal`."""
        decisive: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _ONCE:
                if name in decisive:
                    header = name.decode().title()
                    return MalformedRequest(f"The header {header} may be there only once.")
                decisive[name] = value
        if scope["type"] == "http" and scope["method"] in _READING:
            return None
        if is_from_here(decisive):
            return None
        return OriginNotAllowed("A page of another site can't do this.")


def is_from_here(given: Mapping[bytes, bytes]) -> bool:
    """True if a request comes from our own page, from no page, or from no browser.

    Args:
        given: Headers of the request; names in lower case.

    Example:
        >>> is_from_here({b"host": b"a.example", b"origin": b"https://a.example"})
        True
        >>> is_from_here({b"host": b"a.example", b"origin": b"https://b.example"})
        False
    """
    site, origin = given.get(b"sec-fetch-site"), given.get(b"origin")
    if site is not None:
        return site in _FROM_HERE
    if origin is None:
        return True
    # The scheme is not compared: before a proxy that ends TLS it is another one than here.
    scheme, _, place = origin.lower().partition(b"://")
    port = _USUAL_PORTS.get(scheme)
    if port is None or not place:
        return False
    return place.removesuffix(port) == given.get(b"host", b"").lower().removesuffix(port)
