"""The door: rules that a connection must pass, and the answer where it does not."""

from collections.abc import Sequence
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from whatsit.errors import WhatsitError
from whatsit.web.api.problems import problem_for
from whatsit.web.request_facts import facts_of


class Rule(Protocol):
    """Decides about one connection before anything of it is read."""

    async def refusal(self, scope: Scope) -> WhatsitError | None:
        """Why the connection is refused; None where it is not."""
        ...


class Door:
    """Lets a connection through that all rules allow.

    Args:
        app: The application behind the door.
        rules: Asked in this order; the first refusal counts.
        answer_refusal: Answers with the refusal in the request's facts; `refuse` or something
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
                facts_of(scope).refusal = error
                await self._answer_refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a refused request with its problem document; refuse a WebSocket's handshake alike."""
    can_be_told = "websocket.http.response" in scope.get("extensions", {})
    if scope["type"] == "websocket" and not can_be_told:
        await send({"type": "websocket.close", "code": 1008})
        return
    refusal = facts_of(scope).refusal
    assert refusal is not None
    await problem_for(refusal)(scope, receive, send)
