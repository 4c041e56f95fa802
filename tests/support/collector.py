"""A collector of traces of a test's own: what OpenTelemetry's does, over HTTP on the loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What has arrived so far."""

    url: str
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)

    def resource(self) -> dict[str, str | int]:
        """Attributes of the resource of the last request."""
        return attributes_of(self.requests[-1].resource_spans[0].resource.attributes)

    def spans(self) -> list[Span]:
        """All spans."""
        return [
            span
            for request in list(self.requests)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def span_of(self, request_id: str) -> Span | None:
        """The server span of a request."""
        for span in self.spans():
            if attributes_of(span.attributes).get("whatsit.request_id") == request_id:
                return span
        return None

    def children_of(self, parent: Span) -> list[Span]:
        """The spans right below `parent`, by begin."""
        below = [span for span in self.spans() if span.parent_span_id == parent.span_id]
        return sorted(below, key=lambda span: span.start_time_unix_nano)


def attributes_of(pairs: "Iterator[KeyValue] | list[KeyValue]") -> dict[str, str | int]:
    """Attributes by name."""
    return {
        pair.key: pair.value.int_value
        if pair.value.HasField("int_value")
        else pair.value.string_value
        for pair in pairs
    }


@contextmanager
def start_collector() -> Iterator[Collector]:
    """Take traces in until the block ends."""

    class Intake(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Intake) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
