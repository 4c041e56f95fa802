"""A server on the open internet: what a stranger is refused, and how, against real processes."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.test_api import CLASSIFY, require_problem
from tests.support.private_redis import PrivateRedis
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

MODELS = "/api/v1/models"
EVERYWHERE = "0.0.0.0"


@contextmanager
def serve(home: Path, *arguments: str, **settings: str) -> Iterator[RunningServer]:
    """A server of a test's own; talked to over loopback, wherever it listens."""
    environment = {f"WHATSIT_{name.upper()}": value for name, value in settings.items()}
    with start_server(
        home, *arguments, model="efficientnet-lite2", environment=environment
    ) as server:
        server.url = server.url.replace(EVERYWHERE, "127.0.0.1")
        yield server


def whatsit(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whatsit", *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "WHATSIT_STORE": str(home)},
        timeout=60,
    )


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def send(
    server: RunningServer, method: str, path: str, headers: Mapping[str, str | None]
) -> http.client.HTTPResponse:
    """One request whose path and headers are sent exactly as given; None leaves Host out."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    connection.close()
    return response


# Keys


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared-home")


@pytest.fixture(scope="module")
def two_servers(shared_home: Path) -> Iterator[list[RunningServer]]:
    """Two processes that others can reach, with one store; there was no key when they started."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(serve(shared_home, "--no-ui", "--host", EVERYWHERE))
            for _ in range(2)
        ]


@pytest.fixture(scope="module")
def key(shared_home: Path, two_servers: list[RunningServer]) -> str:
    """A key that works on both."""
    key = whatsit(shared_home, "keys", "create", "tests").stdout.strip()
    assert wait_until(lambda: statuses(two_servers, key) == [200, 200])
    return key


def statuses(servers: list[RunningServer], key: str) -> list[int]:
    found = []
    for server in servers:
        with server.client() as client:
            found.append(client.get(MODELS, headers=bearer(key)).status_code)
    return found


def test_a_server_that_others_reach_asks_for_a_key_and_says_how_to_make_one(
    shared_home, two_servers
):
    hint = f"Make one with: whatsit keys create NAME --store {shared_home}"
    for server in two_servers:
        assert server.log.count(hint) == 1
        with server.client() as client:
            refusal = client.post(CLASSIFY, content=example_pictures()["bee"])
            require_problem(refusal, 401, "unauthorized")
            assert refusal.headers["www-authenticate"] == "Bearer"
            assert refusal.headers["x-request-id"]


def test_a_refusal_is_counted_and_logged_with_its_id(two_servers, key):
    server = two_servers[0]
    # Another address than that of the other tests: what one caller meets too often is summed up.
    address = "127.0.0.3" if sys.platform == "linux" else None
    with server.client(transport=httpx.HTTPTransport(local_address=address)) as client:
        refusal = client.get(MODELS, headers={"X-Request-Id": "my-own-id"})
        figures = client.get("/metrics", headers=bearer(key)).text

    assert refusal.headers["x-request-id"] == "my-own-id"
    assert "request_id=my-own-id" in server.log
    assert 'whatsit_http_requests_total{route="unknown",status="401"}' in figures


def test_a_key_opens_the_api_in_either_header(two_servers, key):
    picture = example_pictures()["bee"]
    with two_servers[0].client() as client:
        for headers in (bearer(key), {"X-API-Key": key}):
            answer = client.post(CLASSIFY, content=picture, headers=headers)
            assert answer.json()["answer"]["label"] == "bee"


def test_a_revoked_key_stops_working_within_a_second_on_all_processes(shared_home, two_servers):
    key = whatsit(shared_home, "keys", "create", "short-lived").stdout.strip()
    assert wait_until(lambda: statuses(two_servers, key) == [200, 200])

    revoking = subprocess.Popen(
        [sys.executable, "-m", "whatsit", "keys", "revoke", key.split("_")[1]],
        env={**os.environ, "WHATSIT_STORE": str(shared_home)},
    )
    assert wait_until(lambda: statuses(two_servers, key) == [401, 401])
    since_the_file_changed = time.time() - (shared_home / "keys.json").stat().st_mtime
    assert revoking.wait(10) == 0

    assert since_the_file_changed < 10


def test_a_damaged_key_file_lets_nobody_in_and_is_told(shared_home, two_servers, key):
    file = shared_home / "keys.json"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-9])
        assert wait_until(lambda: statuses(two_servers, key) == [401, 401])
        for server in two_servers:
            assert server.log.count("The API keys can't be read from") == 1
    finally:
        file.write_bytes(whole)
    assert wait_until(lambda: statuses(two_servers, key) == [200, 200])


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/models", "/api/v1/models/", "/api//v1/models", "/api%2Fv1%2Fmodels", "/api/"),
        *("/API/v1/models", "/%61pi/v1/models", "//api/v1/models", "/api/v1/./models", "/v2/"),
        *("/api/docs/../v1/models", "/healthz/../api/v1/models", "/healthz/%2e%2e/api/v1/models"),
        *("/metrics", "/metrics/", "/api/hf/models/x", "/v2/models", "/api/v1/models?x=/healthz"),
        *("/api/v1/models%00", "/api/v1/models;/healthz", "/healthz%2F..%2Fapi%2Fv1%2Fmodels"),
    ],
)
def test_no_spelling_of_a_path_slips_past_the_door(two_servers, path):
    response = send(two_servers[0], "GET", path, {})

    assert response.status == 401


def test_a_path_that_climbs_out_of_the_open_folder_finds_nothing(two_servers):
    for climb in ("..", "%2e%2e", "..%2f.."):
        path = f"/api/docs-assets/{climb}/v1/models"
        assert send(two_servers[0], "GET", path, {}).status == 404


def test_health_and_documentation_stay_open(two_servers):
    with two_servers[0].client() as client:
        for path in ("/healthz", "/readyz", "/api/docs", "/api/openapi.json"):
            assert client.get(path).status_code == 200


def test_the_contract_declares_the_keys(two_servers):
    with two_servers[0].client() as client:
        document = client.get("/api/openapi.json").json()

    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["api_key"] | {"description": ""} == {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "",
    }
    classify = document["paths"][CLASSIFY]["post"]
    assert classify["security"] == [{"bearer": []}, {"api_key": []}]
    assert {"401", "421", "429"} <= classify["responses"].keys()
    assert document["paths"]["/healthz"]["get"]["security"] == []


def test_keys_are_listed_without_themselves(shared_home, key):
    listed = whatsit(shared_home, "keys", "list")

    assert f"{key.split('_')[1]}  tests" in listed.stdout
    assert key.split("_", 2)[2] not in listed.stdout + listed.stderr


def test_an_unknown_id_is_a_sentence_and_an_exit_code(shared_home):
    done = whatsit(shared_home, "keys", "revoke", "00000000")

    assert done.returncode == 1
    assert done.stderr.startswith("whatsit: The key '00000000' does not exist.")
    assert done.stdout == ""


def test_a_key_goes_to_standard_output_alone(tmp_path):
    done = whatsit(tmp_path, "keys", "create", "a shop")

    assert done.stdout.startswith("wi_")
    assert done.stdout.count("\n") == 1
    assert "shown only now" in done.stderr


# A server that others reach, told to ask for nothing; and the page's part


@pytest.fixture
def unlocked(tmp_path: Path) -> Iterator[RunningServer]:
    """Its rate is used up after three requests, so each test has one of its own."""
    with serve(tmp_path, "--host", EVERYWHERE, api_keys="off", rate_limit="3/day") as server:
        yield server


def test_without_keys_anybody_may_ask_and_the_log_warns_but_the_rate_holds(unlocked):
    assert "may use the API without a key" in unlocked.log
    with unlocked.client() as client:
        answers = [
            # An address that the caller made up is not believed.
            client.get(MODELS, headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(4)
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    document = require_problem(answers[3], 429, "rate_limited")
    assert "more than 3 requests a day" in document.detail
    assert 3600 < int(answers[3].headers["retry-after"]) <= 2 * 86_400
    assert answers[3].headers["x-request-id"]


def test_the_page_can_be_seen_beyond_the_rate_and_takes_no_files(unlocked):
    with unlocked.client() as client:
        while client.get(MODELS).status_code != 429:
            pass
        refusal = client.put("/_stcore/upload_file/session/file", files={"file": b"x"})
        assert refusal.status_code == 403
        assert "script-src" in refusal.headers["content-security-policy"]
        assert client.get("/").status_code == 200
        assert client.get("/whatsit-assets/ask/main.js").status_code == 200
        assert client.get("/healthz").status_code == 200


# Rates that processes share


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def replicas(
    valkey: PrivateRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[httpx.Client]]:
    """Clients of two processes with one Redis, behind a proxy that they believe."""
    with ExitStack() as stack:
        clients = []
        for name in ("one", "other"):
            server = stack.enter_context(
                serve(
                    tmp_path_factory.mktemp(name),
                    "--no-ui",
                    api_keys="off",
                    rate_limit="6/day",
                    trusted_proxies="127.0.0.1",
                    redis_url=valkey.url,
                )
            )
            clients.append(stack.enter_context(server.client()))
        yield clients


def ask(client: httpx.Client, address: str) -> int:
    return client.get(MODELS, headers={"X-Forwarded-For": address}).status_code


def test_two_processes_share_the_count_of_each_address(replicas):
    one, other = replicas

    taken = [ask(client, "192.0.2.1") for _ in range(3) for client in (one, other)]

    assert taken == [200] * 6
    assert [ask(client, "192.0.2.1") for client in replicas] == [429, 429]
    assert [ask(client, "192.0.2.2") for client in replicas] == [200, 200]
    # What the client itself wrote in front of what the proxy added is not believed.
    assert [ask(client, "192.0.2.9, 192.0.2.1") for client in replicas] == [429, 429]


def test_no_address_is_kept_in_clear(replicas, valkey):
    ask(replicas[0], "192.0.2.77")

    with valkey.client() as inside:
        keys = inside.keys("whatsit:rate:*")
        assert keys
        stored = b" ".join(inside.keys()) + b" ".join(inside.mget(keys))
    assert b"192.0.2" not in stored


def test_a_frozen_redis_costs_a_fifth_of_a_second_at_most_and_no_request(replicas, valkey):
    one, _ = replicas
    assert ask(one, "192.0.2.3") == 200
    valkey.freeze()
    try:
        found, waits = [], []
        for _ in range(8):
            started = time.perf_counter()
            found.append(ask(one, "192.0.2.3"))
            waits.append(time.perf_counter() - started)
    finally:
        valkey.thaw()

    # It has counted all the time, so there is no second allowance.
    assert found == [200] * 5 + [429] * 3
    assert max(waits) < 0.35  # 0.2, and what a busy machine adds
    assert sorted(waits)[-2] < 0.15, "only one request waited"
    with valkey.client() as inside:
        before, others = len(inside.keys("whatsit:rate:*")), count(1)

        def is_counted() -> bool:
            assert ask(one, f"192.0.2.{100 + next(others)}") == 200
            return len(inside.keys("whatsit:rate:*")) > before

        assert wait_until(is_counted), "Redis counts again"


# Names, headers and other people's pages, on a server as it starts by itself


@pytest.mark.parametrize("path", ["/", "/model", "/api/v1/models", "/metrics", "/api/docs"])
@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8501", "local host", None])
def test_a_name_that_was_bent_to_this_machine_is_refused(server, path, host):
    response = send(server, "GET", path, {"Host": host})

    assert response.status == 421
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-Id"]


def test_probes_may_ask_by_any_name(server):
    for path in ("/healthz", "/readyz"):
        assert send(server, "GET", path, {"Host": "10.0.0.7:8501"}).status == 200


def handshake(server: RunningServer, host: str, origin: str) -> int:
    """Status of the answer to the page's WebSocket handshake."""
    return send(
        server,
        "GET",
        "/_stcore/stream",
        {
            "Host": host,
            "Origin": origin,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        },
    ).status


def test_a_websocket_is_opened_for_the_page_itself_only(server):
    own = urlsplit(server.url).netloc
    bent = f"attacker.example:{urlsplit(server.url).port}"

    assert handshake(server, own, server.url) == 101
    assert handshake(server, bent, f"http://{bent}") == 421
    assert handshake(server, own, "http://attacker.example") == 403


@pytest.mark.parametrize(
    "path", ["/", "/_stcore/health", "/api/docs", "/api/v1/models", "/healthz", "/api/nothing"]
)
def test_every_response_carries_the_security_headers_once(server, path):
    with server.client() as client:
        headers = client.get(path).headers

    for name, value in {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }.items():
        assert headers.get_list(name) == [value]
    (policy,) = headers.get_list("content-security-policy")
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-eval'" not in policy
    assert "camera=(self)" in headers["permissions-policy"]
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", [CLASSIFY, "/api/v1/models", "/v2", "/", "/_stcore/health", "/_stcore/upload_file/a/b"]
)
def test_pages_of_other_origins_are_allowed_nothing(server, path):
    origin = {"Origin": "http://attacker.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    with server.client() as client:
        for response in (client.options(path, headers=preflight), client.get(path, headers=origin)):
            assert [name for name in response.headers if name.startswith("access-control-")] == []


def test_changing_an_upload_needs_the_page_s_own_token(server):
    # Taking one back, because putting one needs a session on top of it.
    upload = {"method": "DELETE", "url": "/_stcore/upload_file/session/file"}
    with server.client() as client, server.client() as other:
        for visitor in (client, other):
            visitor.get("/_stcore/health")
        token, others_token = (visitor.cookies["_streamlit_xsrf"] for visitor in (client, other))
        with_token = client.request(**upload, headers={"X-Xsrftoken": token})
        without_token = client.request(**upload)
        with_anothers = client.request(**upload, headers={"X-Xsrftoken": others_token})
        client.cookies.clear()
        without_cookie = client.request(**upload, headers={"X-Xsrftoken": token})

    assert with_token.status_code == 204
    refused = [without_token, with_anothers, without_cookie]
    assert [response.status_code for response in refused] == [403] * 3


def test_the_page_s_door_for_programs_is_shut(server):
    with server.client() as client:
        answer = client.post("/_stcore/agent/interact", json={})

    assert answer.status_code == 403
    assert "does not serve the agent API" in answer.text
