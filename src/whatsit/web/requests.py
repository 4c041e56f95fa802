"""What happens around every API request: an id, a log line, a metric, and no bare traceback."""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.telemetry import Telemetry
from whatsit.web.api.problems import problem

_log = logging.getLogger("whatsit.requests")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
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
        request_id = _request_id(Headers(scope=scope))
        scope["whatsit.request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("A request failed.", extra={"request_id": request_id})
            if status:
                raise
            failure = problem(500, "internal", "Something went wrong here. It has been logged.")
            await failure(scope, receive, send_with_id)
        finally:
            self._report(scope, request_id, status, (time.perf_counter() - started) * 1000)

    def _report(self, scope: Scope, request_id: str, status: int, elapsed_ms: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._telemetry.requested(route, status)
        if scope["path"] not in _UNLOGGED and _log.isEnabledFor(logging.INFO):
            _log.info(
                "%s %s %d",
                scope["method"],
                route,
                status,
                extra={"request_id": request_id, "ms": round(elapsed_ms, 1)},
            )


def _request_id(headers: Headers) -> str:
    offered = headers.get("x-request-id", "")
    return offered if _SANE_ID.fullmatch(offered) else secrets.token_hex(8)
