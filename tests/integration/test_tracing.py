"""Traces of a real server, at a real collector."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.integration.test_api import CLASSIFY, EXPLAIN
from tests.support.collector import Collector, attributes_of, start_collector
from tests.support.private_redis import free_port
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

MODEL = "efficientnet-lite2"
QUICKLY = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with start_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    with start_server(
        tmp_path_factory.mktemp("home"),
        "--no-ui",
        model=MODEL,
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            **QUICKLY,
        },
    ) as server:
        yield server


def span_of(collector: Collector, request_id: str):
    assert wait_until(lambda: collector.span_of(request_id) is not None)
    span = collector.span_of(request_id)
    assert span is not None
    return span


def test_a_request_is_one_span_with_its_stages_below(traced, collector):
    picture = example_pictures()["bee"]
    before = time.time_ns()
    with traced.client() as client:
        answer = client.post(CLASSIFY, content=picture, headers={"X-Request-Id": "traced"})
    span = span_of(collector, "traced")
    assert wait_until(lambda: len(collector.children_of(span)) >= 6)
    stages = collector.children_of(span)

    assert (span.name, span.kind) == (f"POST {CLASSIFY}", span.SPAN_KIND_SERVER)
    assert attributes_of(span.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": CLASSIFY,
        "http.request.body.size": len(picture),
        "http.response.body.size": len(answer.content),
        "whatsit.cache": "miss",
        "whatsit.request_id": "traced",
    }
    assert not span.parent_span_id
    timings = answer.json()["timings_ms"]
    assert {stage.name for stage in stages} == set(timings) - {"total"}
    assert {"queue", "decode", "preprocess", "infer", "answer"} <= set(timings)
    edges = [span.start_time_unix_nano]
    for stage in stages:
        assert stage.trace_id == span.trace_id
        assert stage.start_time_unix_nano >= edges[-1]
        length_ms = (stage.end_time_unix_nano - stage.start_time_unix_nano) / 1e6
        assert length_ms == pytest.approx(timings[stage.name], abs=0.002)
        edges.append(stage.end_time_unix_nano)
    assert before <= edges[0] <= edges[-1] <= span.end_time_unix_nano <= time.time_ns()


def test_the_trace_of_the_caller_goes_on(traced, collector):
    headers = {"X-Request-Id": "continued", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    with traced.client() as client:
        client.post(EXPLAIN, content=example_pictures()["cat"], headers=headers)
    span = span_of(collector, "continued")

    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    assert span.name == f"POST {EXPLAIN}"


def test_a_caller_that_is_not_sampled_is_not_traced(traced, collector):
    with traced.client() as client:
        for request_id, flag in (("left-out", "00"), ("after-it", "01")):
            trace = f"00-{TRACE}-{CALLER}-{flag}"
            headers = {"X-Request-Id": request_id, "traceparent": trace}
            client.post(CLASSIFY, content=example_pictures()["cat"], headers=headers)
    span_of(collector, "after-it")

    assert collector.span_of("left-out") is None


def test_a_refusal_names_its_problem_and_is_no_failure_of_ours(traced, collector):
    with traced.client() as client:
        client.post(CLASSIFY, content=b"no picture", headers={"X-Request-Id": "refused"})
    span = span_of(collector, "refused")

    attributes = attributes_of(span.attributes)
    assert (attributes["error.type"], attributes["http.response.status_code"]) == (
        "image_unreadable",
        400,
    )
    assert span.status.code == span.status.STATUS_CODE_UNSET


def test_the_resource_says_which_service_it_is(traced, collector):
    with traced.client() as client:
        client.get("/api/v1/models", headers={"X-Request-Id": "models"})
    span_of(collector, "models")

    resource = collector.resource()
    assert resource["service.name"] == "whatsit"
    assert resource["deployment.environment.name"] == "test"


def test_probes_are_not_traced(traced, collector):
    with traced.client() as client:
        client.get("/healthz", headers={"X-Request-Id": "a-probe"})
        client.get("/api/v1/models", headers={"X-Request-Id": "after-the-probe"})
    span_of(collector, "after-the-probe")

    assert collector.span_of("a-probe") is None


def test_the_last_spans_leave_before_the_server_does(collector, tmp_path):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "pictures",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }
    with (
        start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server,
        server.client() as client,
    ):
        client.get("/api/v1/models", headers={"X-Request-Id": "a-last-one"})
        assert collector.span_of("a-last-one") is None

    span_of(collector, "a-last-one")
    assert collector.resource()["service.name"] == "pictures"


def test_a_dead_collector_costs_nothing_and_is_told_once(tmp_path):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        **QUICKLY,
    }
    with start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server:
        picture = example_pictures()["bee"]
        with server.client() as client:
            slowest = 0.0
            deadline = time.monotonic() + 3.5
            while time.monotonic() < deadline:
                start = time.monotonic()
                assert client.post(CLASSIFY, content=picture).is_success
                slowest = max(slowest, time.monotonic() - start)
                time.sleep(0.02)
        assert slowest < 10
        complaints = re.findall(r"WARNING.*", server.log)
        start = time.monotonic()
    stopping_seconds = time.monotonic() - start

    assert len(complaints) == 1
    assert "does not take them" in complaints[0]
    assert "Traceback" not in server.log
    assert stopping_seconds < 30


def test_without_the_extra_one_sentence_says_so():
    # The same as a machine where it was never installed, as far as imports can tell.
    program = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("opentelemetry.sdk") or name.startswith("opentelemetry.exporter"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from whatsit.telemetry.logs import configure_logging
from whatsit.telemetry.traces import open_tracing
configure_logging("info", "text")
with open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) as tracing:
    print(tracing)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == "None\n"
    assert len(run.stderr.splitlines()) == 1
    assert "pip install 'whatsit[otel]'" in run.stderr


def test_nothing_of_opentelemetry_is_loaded_while_nobody_collects():
    program = """
import sys
import whatsit.web.application
from whatsit.telemetry.traces import open_tracing
with open_tracing({}) as tracing:
    print(tracing, [name for name in sys.modules if name.startswith("opentelemetry.exporter")])
"""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=inherited
    )

    assert run.stdout == "None []\n"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-3"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000"),
    ],
)
def test_a_variable_that_opentelemetry_refuses_is_told_in_a_sentence(variable, value, tmp_path):
    # In a process of its own: some variables are read once, while it is loaded.
    done = subprocess.run(
        [sys.executable, "-m", "whatsit", "serve", "--no-ui", "--port", "0"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "WHATSIT_STORE": str(tmp_path),
            variable: value,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("whatsit: OpenTelemetry can't work with a variable OTEL_")
