"""The page's tokens: its part in the browser shows one to the API in place of a key."""

import hashlib
import secrets
from collections.abc import Iterable
from weakref import WeakValueDictionary

from starlette.types import Scope

TOKEN_HEADER = b"x-whatsit-page"

_ROUTES = frozenset(
    {
        ("POST", "/api/v1/classify"),
        ("POST", "/api/v1/explain"),
        ("POST", "/api/v1/feedback"),
        ("GET", "/api/v1/labels"),
    }
)
_FOLDERS = (
    ("GET", "/api/v1/answers/"),
    ("GET", "/api/v1/labels/"),
    ("DELETE", "/api/v1/feedback/"),
)


class PageToken:
    """One visitor's token; it is valid as long as this object is held.

    Attributes:
        text: Sent by the visitor's browser in the header ``X-Whatsit-Page``.
    """

    def __init__(self, text: str) -> None:
        self.text = text


class PageTokens:
    """Issues tokens and recognises them."""

    def __init__(self) -> None:
        # By digest, so that how long a look-up takes says nothing about the token.
        self._tokens: WeakValueDictionary[bytes, PageToken] = WeakValueDictionary()

    def issue(self) -> PageToken:
        """A new token. Keep it in the visitor's session, and it ends with the session."""
        page_token = PageToken(secrets.token_urlsafe(32))
        self._tokens[_digest(page_token.text.encode())] = page_token
        return page_token

    def admit(self, scope: Scope) -> bool:
        """True if a request comes from a page that is open, for a route that the page uses."""
        if not _is_for_page(scope["method"], scope["path"]):
            return False
        token = _offered(scope["headers"])
        return token is not None and _digest(token) in self._tokens


def _is_for_page(method: str, path: str) -> bool:
    return (method, path) in _ROUTES or any(
        method == allowed and path.startswith(folder) for allowed, folder in _FOLDERS
    )


def _offered(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    return next((value for name, value in headers if name == TOKEN_HEADER), None)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
