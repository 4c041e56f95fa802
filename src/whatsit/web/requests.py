"""What happens around every API request: an id, a log line, a metric, and no bare traceback."""

import logging
import re
import secrets
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.telemetry import Telemetry
from whatsit.web.api.app import ROUTE_IN_SCOPE
from whatsit.web.api.problems import CODE_IN_SCOPE, problem
from whatsit.web.intake import UNREAD_IN_SCOPE

_log = logging.getLogger("whatsit.requests")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_LEFT = 499
"""What is counted and logged for a client that did not wait; nobody is sent it."""
_CLOSE = (b"connection", b"close")
_UNLOGGED = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestScope:
    """Gives each request an id, counts and logs it, and answers 500 where the inside failed."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["whatsit.request_id"] = request_id
        id_header = (b"x-request-id", request_id.encode())
        status = CLIENT_LEFT

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = (id_header, _CLOSE) if scope.get(UNREAD_IN_SCOPE) else (id_header,)
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass
        except Exception:
            _log.exception("A request failed.", extra={"request_id": request_id})
            if status != CLIENT_LEFT:
                raise
            failure = problem(500, "internal", "Something went wrong here. It has been logged.")
            await failure(scope, receive, send_with_id)
        finally:
            self._report(scope, request_id, status, time.perf_counter() - started)

    def _report(self, scope: Scope, request_id: str, status: int, elapsed_seconds: float) -> None:
        route = str(scope.get(ROUTE_IN_SCOPE) or getattr(scope.get("route"), "path", "unknown"))
        self._telemetry.requested(route, status, elapsed_seconds)
        if (code := scope.get(CODE_IN_SCOPE)) is not None:
            self._telemetry.refused(code)
        if scope["path"] not in _UNLOGGED and _log.isEnabledFor(logging.INFO):
            _log.info(
                "%s %s %d",
                scope["method"],
                route,
                status,
                extra={"request_id": request_id, "ms": round(elapsed_seconds * 1000, 1)},
            )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            offered = value.decode("latin-1")
            return offered if _SANE_ID.fullmatch(offered) else secrets.token_hex(8)
    return secrets.token_hex(8)
