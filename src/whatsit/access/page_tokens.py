"""The page's pass, which its script sends to the API in place of a key."""

import hashlib
import secrets
from collections.abc import Iterable
from weakref import WeakValueDictionary

from starlette.types import Scope

PASS_HEADER = b"x-whatsit-page"

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


class PagePass:
    """One visitor's pass; it is valid as long as this object is referenced.

    Attributes:
        token: The text that the visitor's browser sends.
    """

    def __init__(self, token: str) -> None:
        self.token = token


class PagePasses:
    """Issues passes and recognises them."""

    def __init__(self) -> None:
        # By digest, so that how long a look-up takes says nothing about the token.
        self._passes: WeakValueDictionary[bytes, PagePass] = WeakValueDictionary()

    def issue(self) -> PagePass:
        """A new pass. Keep it in the visitor's session, and it ends with the session."""
        page_pass = PagePass(secrets.token_urlsafe(32))
        self._passes[_digest(page_pass.token.encode())] = page_pass
        return page_pass

    def admit(self, scope: Scope) -> bool:
        """True if a request comes from a page that is open, for a route that the page uses."""
        if not _is_for_page(scope["method"], scope["path"]):
            return False
        token = _offered(scope["headers"])
        return token is not None and _digest(token) in self._passes


def _is_for_page(method: str, path: str) -> bool:
    return (method, path) in _ROUTES or any(
        method == allowed and path.startswith(folder) for allowed, folder in _FOLDERS
    )


def _offered(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    return next((value for name, value in headers if name == PASS_HEADER), None)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
