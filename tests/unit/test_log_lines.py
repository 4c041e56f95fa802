"""A line about a request is a JSON document whatever its facts are."""

import json

from whatsit.telemetry.logs import _JsonLines, _RequestRecord
from whatsit.telemetry.request import FinishedRequest


def test_a_quote_in_a_fact_does_not_break_the_line():
    request = FinishedRequest(
        request_id='a"b',
        method="POST",
        route="/api/v1/classify",
        status=200,
        seconds=0.0123456,
        received_bytes=10,
        sent_bytes=20,
        cache="hit",
        code=None,
        timings_ms={},
    )

    line = json.loads(_JsonLines().format(_RequestRecord(request)))

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "whatsit.requests",
        "message": "POST /api/v1/classify 200",
        "request_id": 'a"b',
        "method": "POST",
        "route": "/api/v1/classify",
        "status": 200,
        "cache": "hit",
        "received_bytes": 10,
        "sent_bytes": 20,
        "ms": 12.346,
    }
