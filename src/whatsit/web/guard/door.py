"""The door: rules that a connection must pass, and the answer where it does not."""

from collections.abc import Sequence
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from whatsit.errors import WhatsitError
from whatsit.web.api.problems import problem_for

OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", "/api/docs", "/api/docs/oauth2-redirect", "/api/openapi.json"}
)
"""Paths of the API that anybody may read, any number of times. All others are closed, whatever
they look like, so that no spelling of a path slips past."""
_OPEN_FOLDER = "/api/docs-assets/"


class Rule(Protocol):
    """Decides about one connection before anything of it is read."""

    async def refusal(self, scope: Scope) -> WhatsitError | None:
        """Why the connection is refused; None where it is not."""
        ...


class Door:
    """Lets a connection through that all rules allow.

    Args:
        app: What is behind the door.
        rules: Asked in this order; the first refusal counts.
        answer_refusal: Answers with the error it finds by `refusal_in`; `refuse` or something
            around it.
    """

    def __init__(self, app: ASGIApp, rules: Sequence[Rule], answer_refusal: ASGIApp) -> None:
        self._app = app
        self._rules = tuple(rules)
        self._answer_refusal = answer_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        for rule in self._rules:
            error = await rule.refusal(scope)
            if error is not None:
                scope["whatsit.refusal"] = error
                await self._answer_refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a refused request with its problem document; refuse a WebSocket's handshake alike."""
    can_be_told = "websocket.http.response" in scope.get("extensions", {})
    if scope["type"] == "websocket" and not can_be_told:
        await send({"type": "websocket.close", "code": 1008})
        return
    await problem_for(scope["whatsit.refusal"])(scope, receive, send)


def is_open_on_page(path: str) -> bool:
    """Whether the page's server may answer anybody: all but its figures and its door for programs.

    The page itself asks for no keys.
    """
    return "/_stcore/metrics" not in path and "/_stcore/agent" not in path


def is_open(path: str) -> bool:
    """Whether anybody may read a path of the API: health and documentation."""
    return path in OPEN_PATHS or path.startswith(_OPEN_FOLDER)
