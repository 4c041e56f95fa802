"""What a real server writes down of its requests, in both formats."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.integration.test_api import CLASSIFY, EXPLAIN
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

_TEXT_LINE = re.compile(r"\d\d:\d\d:\d\d INFO    (?P<method>\w+) (?P<route>\S+) (?P<status>\d+)  ")


@pytest.fixture(scope="module", params=["text", "json"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    with start_server(
        tmp_path_factory.mktemp("home"),
        "--no-ui",
        model="efficientnet-lite2",
        environment={"WHATSIT_LOG_FORMAT": request.param},
    ) as server:
        yield server


def facts_of(line: str) -> dict[str, str]:
    """What a line says, whatever its format; every value as text."""
    if line.startswith("{"):
        return {name: str(value) for name, value in json.loads(line).items()}
    head = _TEXT_LINE.match(line)
    assert head is not None, line
    return {**head.groupdict(), **dict(fact.split("=", 1) for fact in line[head.end() :].split())}


def line_about(server: RunningServer, request_id: str) -> dict[str, str]:
    """The facts of the one line about a request; it is written once the answer has left."""

    def lines() -> list[str]:
        return [line for line in server.log.splitlines() if request_id in line]

    assert wait_until(lambda: bool(lines()))
    assert len(lines()) == 1
    return facts_of(lines()[0])


def test_a_line_tells_route_status_cache_sizes_and_time(server):
    picture = example_pictures()["bee"]
    with server.client() as client:
        answers = [
            client.post(CLASSIFY, content=picture, headers={"X-Request-Id": f"asked-{number}"})
            for number in range(2)
        ]
    for number, (answer, cache) in enumerate(zip(answers, ("miss", "hit"), strict=True)):
        facts = line_about(server, f"asked-{number}")
        assert (facts["method"], facts["route"], facts["status"]) == ("POST", CLASSIFY, "200")
        assert facts["cache"] == cache == answer.json()["cache"]
        assert int(facts["received_bytes"]) == len(picture)
        assert int(facts["sent_bytes"]) == len(answer.content)
        assert 0 < float(facts["ms"]) < 10_000
        assert "code" not in facts


def test_a_line_about_a_heat_map_tells_the_same(server):
    with server.client() as client:
        answer = client.post(
            EXPLAIN, content=example_pictures()["cat"], headers={"X-Request-Id": "asked-why"}
        )
    facts = line_about(server, "asked-why")

    assert (facts["route"], facts["cache"]) == (EXPLAIN, answer.headers["x-cache"])
    assert int(facts["sent_bytes"]) == len(answer.content)


def test_a_line_about_a_refusal_tells_the_code_of_the_problem(server):
    with server.client() as client:
        client.post(CLASSIFY, content=b"no picture", headers={"X-Request-Id": "refused"})
    facts = line_about(server, "refused")

    assert (facts["status"], facts["code"]) == ("400", "image_unreadable")
    assert "cache" not in facts


def test_no_line_tells_names_queries_or_addresses(server):
    picture = example_pictures()["cat"]
    with server.client() as client:
        client.post(
            CLASSIFY,
            params={"top_k": 3, "note": "whispered"},
            files={"file": ("holiday-in-rome.jpg", picture, "image/jpeg")},
            headers={"X-Forwarded-For": "203.0.113.7"},
        )
        client.get("/api/v1/sesame?open=please", headers={"X-Request-Id": "stranger"})
    facts = line_about(server, "stranger")

    assert (facts["route"], facts["code"]) == ("unknown", "not_found")
    after_greeting = server.log.partition("whatsit is ready on")[2].partition("\n")[2]
    for secret in ("holiday", "rome", "whispered", "sesame", "please", "203.0.113", "127.0.0.1"):
        assert secret not in after_greeting


def test_probes_are_not_logged(server):
    with server.client() as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert client.get(path, headers={"X-Request-Id": "a-probe"}).is_success
        client.get("/api/nothing", headers={"X-Request-Id": "after-the-probes"})
    line_about(server, "after-the-probes")

    assert "a-probe" not in server.log


def test_every_line_of_the_json_format_is_a_document(server):
    with server.client() as client:
        client.get("/api/nothing", headers={"X-Request-Id": "the-last-one"})
    line_about(server, "the-last-one")
    lines = server.log.splitlines()
    if not lines[0].startswith("{"):
        assert all(re.match(r"\d\d:\d\d:\d\d [A-Z]+ +\S", line) for line in lines)
        return
    for line in lines:
        document = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["time"])
        assert document["level"] == "info"
