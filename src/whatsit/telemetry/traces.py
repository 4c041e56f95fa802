"""Traces of the API's requests for an OpenTelemetry collector, where one is named.

A span is made when its request is done, from what is known then: without a collector, nothing
of OpenTelemetry is loaded; with one, the answer has already left.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from whatsit import __version__
from whatsit.errors import SettingsError
from whatsit.telemetry.request import FinishedRequest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_COMPLAIN_SECONDS = 60.0
_FAREWELL_SECONDS = 2.0
"""How long the last spans may take to leave when the server stops."""
_PROPAGATED = frozenset({b"traceparent", b"tracestate"})


class Tracing(Protocol):
    """Sends requests to a collector as spans; see `open_tracing`."""

    def trace(self, request: FinishedRequest, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Make the spans of a request that has just ended.

        Args:
            request: It.
            headers: Its own; a ``traceparent`` among them is continued.
        """
        ...


@contextmanager
def open_tracing(environment: Mapping[str, str]) -> Iterator[Tracing | None]:
    """Trace to the collector that the standard variables name, until the block ends.

    Args:
        environment: Whose ``OTEL_EXPORTER_OTLP_ENDPOINT`` switches it on. All other ``OTEL_``
            variables are read by OpenTelemetry itself, from the process's environment.

    Raises:
        SettingsError: One of those variables has a value that can't be.

    Yields:
        None where no collector is named, or OpenTelemetry is not installed.
    """
    if not any(environment.get(name) for name in _ENDPOINTS):
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider  # noqa: F401 - is it there?
    except ImportError:
        _log.warning(
            "A collector of traces is named (OTEL_EXPORTER_OTLP_ENDPOINT), but OpenTelemetry is "
            "not installed, so nothing is traced. Install it with: pip install 'whatsit[otel]'"
        )
        yield None
        return
    except ValueError as error:  # some variables are read while it is loaded
        raise _refusal(error) from error
    # Each failed batch would be several lines; ours is one a minute.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
    try:
        opened = _Spans(OTLPSpanExporter(), environment)
    except ValueError as error:
        raise _refusal(error) from error
    try:
        yield opened
    finally:
        opened.close()


def _refusal(error: ValueError) -> SettingsError:
    return SettingsError(
        f"OpenTelemetry can't work with a variable OTEL_... of the environment: {error}"
    )


class _Spans:
    def __init__(self, exporter: "SpanExporter", environment: Mapping[str, str]) -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({SERVICE_VERSION: __version__})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "whatsit"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_log_once_a_minute(exporter)))
        self._exporter = exporter
        self._tracer = self._provider.get_tracer("whatsit", __version__)
        self._server = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)
        self._inside = set_span_in_context
        self._propagator = TraceContextTextMapPropagator()

    def trace(self, request: FinishedRequest, headers: Iterable[tuple[bytes, bytes]]) -> None:
        end = time.time_ns()
        start = end - int(request.seconds * 1e9)
        carrier = {
            name.decode(): value.decode("latin-1") for name, value in headers if name in _PROPAGATED
        }
        span = self._tracer.start_span(
            f"{request.method} {request.route}",
            self._propagator.extract(carrier) if carrier else None,
            self._server,
            _attributes(request),
            start_time=start,
        )
        if span.is_recording():
            if request.status >= 500:
                span.set_status(self._failed)
            inside = self._inside(span)
            for stage, begun, ended in _lay_out(request.timings_ms, start, end):
                child = self._tracer.start_span(stage, inside, start_time=begun)
                child.end(ended)
        span.end(end)

    def close(self) -> None:
        """Send what is left, but wait for a silent collector no longer than a moment."""
        farewell = threading.Thread(target=self._provider.shutdown, daemon=True)
        farewell.start()
        farewell.join(_FAREWELL_SECONDS)


def _attributes(request: FinishedRequest) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "http.response.status_code": request.status,
        "http.route": request.route,
        "http.request.body.size": request.received_bytes,
        "http.response.body.size": request.sent_bytes,
        "whatsit.request_id": request.request_id,
    }
    if request.cache is not None:
        attributes["whatsit.cache"] = request.cache
    if request.code is not None:
        attributes["error.type"] = request.code
    return attributes


def _lay_out(
    timings_ms: Mapping[str, float], start: int, end: int
) -> Iterator[tuple[str, int, int]]:
    """Stages one after the other, as late as they fit: before them the body arrived.

    Yields:
        Name, begin and end, in nanoseconds.
    """
    lengths = {
        stage: int(milliseconds * 1e6)
        for stage, milliseconds in timings_ms.items()
        if stage != "total"
    }
    begin = max(start, end - sum(lengths.values()))
    for stage, length in lengths.items():
        yield stage, begin, begin + length
        begin += length


def _log_once_a_minute(exporter: "SpanExporter") -> "SpanExporter":
    """The same exporter, whose failures are logged, but not each of them."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Complaining(SpanExporter):
        def __init__(self) -> None:
            self._complained: float | None = None

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = exporter.export(spans)
            now = time.monotonic()
            if result is not SpanExportResult.SUCCESS and (
                self._complained is None or now - self._complained >= _COMPLAIN_SECONDS
            ):
                self._complained = now
                _log.warning(
                    "The collector of traces does not take them (OTEL_EXPORTER_OTLP_ENDPOINT). "
                    "Pictures are answered without."
                )
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Complaining()
