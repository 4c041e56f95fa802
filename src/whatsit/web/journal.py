"""The record of each finished request: metrics, a log line, a trace."""

from http import HTTPStatus

from starlette.types import Scope

from whatsit.telemetry.logs import RequestLog
from whatsit.telemetry.metrics import Telemetry
from whatsit.telemetry.request import FinishedRequest
from whatsit.telemetry.traces import Tracing
from whatsit.web.refusal_log import RefusalLog
from whatsit.web.request_facts import facts_of

CLIENT_LEFT = 499
"""Status in metrics and log for a client that did not wait; it is never sent."""

_ONLY_COUNTED = frozenset(
    {"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"}
)
"""Asked every few seconds by machines: neither logged nor traced."""


class Journal:
    """Records finished requests.

    Args:
        telemetry: Counts them.
        tracing: Traces them; None where traces are not collected.
    """

    def __init__(self, telemetry: Telemetry, tracing: Tracing | None = None) -> None:
        self._telemetry = telemetry
        self._tracing = tracing
        self._log = RequestLog()
        self._refusals = RefusalLog(self._log)

    def record(self, scope: Scope, status: int, sent_bytes: int, seconds: float) -> None:
        """Record a request after its answer was sent.

        Args:
            scope: Its scope; the rest is in its facts.
            status: Of the answer, or `CLIENT_LEFT`.
            sent_bytes: Of the answer's body.
            seconds: From the first byte of the request to the last byte of the answer.
        """
        facts = facts_of(scope)
        answer = facts.answer
        request = FinishedRequest(
            request_id=facts.request_id,
            method=scope["method"],
            route=facts.route or str(getattr(scope.get("route"), "path", "unknown")),
            status=status,
            seconds=seconds,
            received_bytes=facts.received_bytes,
            sent_bytes=sent_bytes,
            cache=None if answer is None else answer.cache,
            code=facts.problem_code,
            timings_ms={} if answer is None else answer.timings_ms,
        )
        self._telemetry.requested(request)
        if scope["path"] in _ONLY_COUNTED:
            return
        if status < HTTPStatus.BAD_REQUEST or status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._log.write(request)
        else:
            self._refusals.write(scope, request)
        if self._tracing is not None:
            self._tracing.trace(request, scope["headers"])

    def record_failure(self, request_id: str) -> None:
        """Log the exception that is being handled, with its traceback."""
        self._log.failed(request_id)
