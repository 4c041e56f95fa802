"""What happens around every API request: an id, a log line, a metric, and no bare traceback."""

import random
import re
import time
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.telemetry.logs import RequestLog
from whatsit.telemetry.metrics import Telemetry
from whatsit.telemetry.request import FinishedRequest
from whatsit.telemetry.traces import Tracing
from whatsit.web.api.app import CLIENT_LEFT, ROUTE_IN_SCOPE
from whatsit.web.api.classify import ANSWER_IN_SCOPE
from whatsit.web.api.problems import CODE_IN_SCOPE, unexpected
from whatsit.web.intake import RECEIVED_IN_SCOPE, UNREAD_IN_SCOPE
from whatsit.web.refusal_log import RefusalLog

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ids = random.Random()
_CLOSE = (b"connection", b"close")
_ONLY_COUNTED = frozenset(
    {"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"}
)
"""Asked every few seconds by machines: neither logged nor traced."""


class RequestScope:
    """Gives each request an id, tells about it, and answers 500 where the inside failed.

    Args:
        app: The inside.
        telemetry: Counts the requests.
        tracing: Traces them; None where nobody collects traces.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, tracing: Tracing | None = None) -> None:
        self._app = app
        self._telemetry = telemetry
        self._tracing = tracing
        self._log = RequestLog()
        self._refusals = RefusalLog(self._log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["whatsit.request_id"] = request_id
        id_header = (b"x-request-id", request_id.encode())
        status, sent_bytes = CLIENT_LEFT, 0

        async def send_with_id(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = (id_header, _CLOSE) if scope.get(UNREAD_IN_SCOPE) else (id_header,)
                message["headers"] = [*message.get("headers", ()), *ours]
            else:
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass
        except Exception:
            self._log.failed(request_id)
            if status != CLIENT_LEFT:
                raise
            await unexpected()(scope, receive, send_with_id)
        finally:
            self._report(scope, status, sent_bytes, time.perf_counter() - started)

    def _report(self, scope: Scope, status: int, sent_bytes: int, seconds: float) -> None:
        answer = scope.get(ANSWER_IN_SCOPE)
        request = FinishedRequest(
            request_id=scope["whatsit.request_id"],
            method=scope["method"],
            route=str(scope.get(ROUTE_IN_SCOPE) or getattr(scope.get("route"), "path", "unknown")),
            status=status,
            seconds=seconds,
            received_bytes=scope.get(RECEIVED_IN_SCOPE, 0),
            sent_bytes=sent_bytes,
            cache=None if answer is None else answer.cache,
            code=scope.get(CODE_IN_SCOPE),
            timings_ms={} if answer is None else answer.timings_ms,
        )
        self._telemetry.requested(request)
        if scope["path"] not in _ONLY_COUNTED:
            if status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.INTERNAL_SERVER_ERROR:
                self._log.write(request)
            else:
                self._refusals.write(scope, request)
            if self._tracing is not None:
                self._tracing.trace(request, scope["headers"])


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            offered = value.decode("latin-1")
            return offered if _SANE_ID.fullmatch(offered) else _new_id()
    return _new_id()


def _new_id() -> str:
    # It tells requests apart and guards nothing; asking the system for secrets takes ten times
    # as long.
    return f"{_ids.getrandbits(64):016x}"
