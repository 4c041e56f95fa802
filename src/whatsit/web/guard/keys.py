"""Only requests with a valid API key."""

from collections.abc import Callable, Iterable

from fastapi import FastAPI
from starlette.types import Scope

from whatsit.access.keys import KeyRing
from whatsit.access.page_tokens import PageTokens
from whatsit.errors import ImageUnreadable, Unauthorized, UrlsOff
from whatsit.web.api.refusals import problem_responses
from whatsit.web.paths import is_open
from whatsit.web.request_facts import facts_of

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


class KeyRule:
    """Refuses what is not open to anybody and comes without a valid key.

    Args:
        keys: Knows the valid keys.
        is_open: Which paths are open to anybody.
        tokens: Let the page's own requests in without a key; None without a page.
    """

    def __init__(
        self,
        keys: KeyRing,
        is_open: Callable[[str], bool],
        tokens: PageTokens | None = None,
    ) -> None:
        self._keys = keys
        self._is_open = is_open
        self._tokens = tokens

    async def refusal(self, scope: Scope) -> Unauthorized | None:
        """See `Rule.refusal`. A valid key's id and name are left in the request's facts."""
        if self._is_open(scope["path"]):
            return None
        offered = offered_key(scope["headers"])
        if offered is None:
            if self._tokens is not None and self._tokens.admit(scope):
                return None
            return Unauthorized("An API key is needed. Send it as: Authorization: Bearer KEY")
        key = self._keys.find(offered)
        if key is None:
            return Unauthorized("This API key is unknown or was revoked.")
        facts = facts_of(scope)
        facts.key_id, facts.key_name = key.id, key.name
        return None


def offered_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key that a request comes with: its bearer token, else its ``X-API-Key``.

    Another kind of ``Authorization``, such as a proxy's own password, is not looked at.
    """
    from_header = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return token.strip().decode("latin-1")
        elif name == b"x-api-key":
            from_header = value.strip().decode("latin-1")
    return from_header


def declare_keys(api: FastAPI, *, required: bool) -> None:
    """Make the OpenAPI document say how keys are sent, and for what they are needed.

    Args:
        api: Its document must not have been asked for yet.
        required: True if a request without a key is refused now.
    """
    build = api.openapi

    def openapi() -> dict[str, object]:
        if api.openapi_schema is not None:
            return api.openapi_schema
        document = build()
        document.setdefault("components", {})["securitySchemes"] = _SCHEMES
        choices: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if is_open(path):
                    operation["security"] = []
                    continue
                operation["security"] = choices if required else [{}, *choices]
                refusals = problem_responses(
                    *(400, 401, 421, 429, 431), path=path, without={ImageUnreadable}
                )
                if method != "get":
                    refusals |= problem_responses(403, path=path, without={UrlsOff})
                for status, response in refusals.items():
                    operation["responses"].setdefault(str(status), response)
        return document

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
