"""Headers that forbid a browser what our pages never need, so that attackers can't use it."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.web.paths import API_PREFIXES

Header = tuple[bytes, bytes]

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
}
_FRAMES_NOWHERE = "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
# The page's framework starts with scripts in its HTML, runs workers from blobs, and compiles
# WebAssembly; it evaluates no text as code, so that stays forbidden.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' blob: 'unsafe-inline' 'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; form-action 'self'; "
    f"{_FRAMES_NOWHERE}"
)
_DOCUMENTATION_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    f"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; {_FRAMES_NOWHERE}"
)
# Also for pictures of visitors: opened on its own, a picture must not act as a page of ours.
_NOTHING_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

_NAMES = frozenset(name.lower().encode() for name in (*_EVERYWHERE, "Content-Security-Policy"))
_WITHOUT_PAGE = (*(f"{prefix}/" for prefix in API_PREFIXES), "/media/")
_STARTS = ("http.response.start", "websocket.http.response.start")


def _headers(policy: str) -> tuple[Header, ...]:
    facts = {**_EVERYWHERE, "Content-Security-Policy": policy}
    return tuple((name.lower().encode(), value.encode()) for name, value in facts.items())


_PAGE = _headers(_PAGE_POLICY)
_DOCUMENTATION = _headers(_DOCUMENTATION_POLICY)
_NOTHING = _headers(_NOTHING_POLICY)


class SecurityHeaders:
    """Adds the security headers to every response of an application, refusals and errors too.

    Args:
        app: Answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        path = scope["path"]

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _STARTS:
                message["headers"] = with_security_headers(message.get("headers", ()), path)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def with_security_headers(headers: Iterable[Header], path: str) -> list[Header]:
    """The headers of a response together with the security headers of its path.

    What would let pages of other origins read an answer (CORS) is taken out: our answers are for
    our own page, and the page's server names an address that may belong to another site.
    """
    kept = [header for header in headers if not _is_replaced(header[0].lower())]
    kept += _headers_for(path)
    return kept


def _is_replaced(name: bytes) -> bool:
    return name in _NAMES or name.startswith(b"access-control-")


def _headers_for(path: str) -> tuple[Header, ...]:
    if path.startswith("/api/docs"):
        return _DOCUMENTATION
    if path in API_PREFIXES or path.startswith(_WITHOUT_PAGE):
        return _NOTHING
    return _PAGE
