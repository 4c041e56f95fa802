"""Pictures by their address, from a real server that is allowed to fetch from this machine."""

import concurrent.futures
import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future

import httpx
import pytest

from tests.integration.test_api import CLASSIFY, require_problem
from tests.support.picture_servers import PictureServer, answer, wait_for_leaving
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture
from whatsit.web.api.fetching.fetcher import MAX_CALLER_FETCHES, MAX_FETCHES
from whatsit.web.api.schemas import ClassifyDocument

MAX_HELD_BYTES = 1_000_000
MAX_UPLOAD_BYTES = 5_000_000
MODEL = "efficientnet-lite2"


def respond(client: socket.socket, path: str) -> None:
    name = path.strip("/")
    if name == "silent":
        wait_for_leaving(client)
    elif name == "redirect":
        client.sendall(answer(b"", "302 Found", Location="http://127.0.0.2/"))
    elif name == "page":
        client.sendall(answer(b"<!doctype html><title>Bees</title>"))
    elif name == "empty":
        client.sendall(answer(b""))
    elif name == "large":
        client.sendall(answer(b"x" * (MAX_UPLOAD_BYTES + 1)))
    elif name == "half":
        client.sendall(answer(b"x" * (MAX_HELD_BYTES + 1)))
    elif name.startswith("plain-"):
        client.sendall(answer(plain_picture(f"#{name[6:]}")))
    else:
        client.sendall(answer(example_pictures()[name]))


@pytest.fixture(scope="module")
def pictures() -> Iterator[PictureServer]:
    with PictureServer(respond) as server:
        yield server


@pytest.fixture(scope="module")
def fetching(
    pictures: PictureServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    environment = {
        "WHATSIT_FETCH_URLS": "on",
        "WHATSIT_FETCH_ALLOW": "127.0.0.1",
        "WHATSIT_FETCH_PORTS": f"80, 443, {pictures.port}",
        "WHATSIT_MAX_HELD_BYTES": str(MAX_HELD_BYTES),
        "WHATSIT_MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES),
    }
    with start_server(
        tmp_path_factory.mktemp("home"), "--no-ui", model=MODEL, environment=environment
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(fetching: RunningServer) -> Iterator[httpx.Client]:
    with fetching.client() as client:
        yield client


def test_a_picture_by_its_address_is_answered_like_the_picture(client, pictures):
    fetched = client.post(CLASSIFY, json={"url": f"{pictures.url}/bee"}, params={"top_k": 2})
    sent = client.post(CLASSIFY, content=example_pictures()["bee"], params={"top_k": 2})
    again = client.post(CLASSIFY, json={"url": f"{pictures.url}/bee"}, params={"top_k": 2})

    assert fetched.status_code == 200, fetched.text
    documents = [ClassifyDocument.model_validate(reply.json()) for reply in (fetched, sent, again)]
    assert [document.cache for document in documents] == ["miss", "hit", "hit"]
    assert documents[0].answer.label == "bee"
    assert documents[0].answer == documents[1].answer == documents[2].answer
    assert documents[0].image == documents[1].image
    assert len(documents[0].top) == 2
    assert "fetch;dur=" in fetched.headers["server-timing"]
    assert set(documents[0].timings_ms) >= {"fetch", "decode", "infer", "total"}


def test_the_cache_parameter_counts_for_addresses_too(client, pictures):
    body = {"url": f"{pictures.url}/cat"}
    outcomes = [
        client.post(CLASSIFY, json=body, params={"cache": mode}).json()["cache"]
        for mode in ("refresh", "use", "bypass")
    ]

    assert outcomes == ["miss", "hit", "bypass"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("page", 400, "image_unreadable"),
        ("empty", 400, "image_unreadable"),
        ("large", 413, "image_too_large"),
        ("half", 429, "rate_limited"),
        ("redirect", 422, "url_unreachable"),
    ],
)
def test_what_is_no_picture_is_refused_as_if_it_were_sent(client, pictures, path, status, code):
    require_problem(client.post(CLASSIFY, json={"url": f"{pictures.url}/{path}"}), status, code)


def test_no_address_of_the_inside_is_told_from_any_other(client, pictures, fetching):
    hosts = ("10.0.0.1", "127.0.0.2", "[::1]", "nobody.invalid", "169.254.169.254")
    details = {
        require_problem(
            client.post(CLASSIFY, json={"url": f"http://{host}:{port}/"}), 422, "url_unreachable"
        ).detail
        for host in hosts
        for port in (80, pictures.port)
    }

    assert len(details) == 1
    assert "not public" in details.pop()
    assert not any(host in fetching.log for host in hosts)


@pytest.mark.parametrize(
    "body",
    [
        *(b"{}", b"[]", b"null", b"7", b'"http://example.org/"', b'{"url": 7}', b'{"url": null}'),
        *(b'{"url": "http://example.org/"', b"{", b" [", b"[" * 15_000, b"{" + b" " * 20_000),
        b'{"url": "http://example.org/", "file": "x"}',
    ],
    ids=lambda body: body[:20].decode(),
)
@pytest.mark.parametrize("switch", ["on", "off"])
def test_json_without_an_address_is_refused(client, server, switch, body):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    with server.client() as off:
        asked = client if switch == "on" else off
        problem = require_problem(
            asked.post(CLASSIFY, content=body, headers=headers), 422, "invalid_parameter"
        )

    assert '{"url": "https://example.org/bee.jpg"}' in problem.detail


@pytest.mark.parametrize(
    "url", ["", "bee.jpg", "http://127.1/", "http://a@example.org/", "file:///x", "\ud800"]
)
def test_what_is_no_address_is_refused_with_a_sentence(client, url):
    body = json.dumps({"url": url})
    headers = {"Content-Type": "application/json"}
    problem = require_problem(
        client.post(CLASSIFY, content=body, headers=headers), 422, "invalid_parameter"
    )

    assert problem.detail.startswith("url ")


def test_a_picture_that_is_declared_as_json_is_still_a_picture(client):
    headers = {"Content-Type": "application/json"}
    picture = plain_picture("#123456")
    outcomes = [
        client.post(CLASSIFY, content=picture, headers=headers).json()["cache"] for _ in range(2)
    ]

    assert outcomes == ["miss", "hit"]


def test_addresses_are_off_unless_switched_on(server, pictures):
    before = pictures.connections
    with server.client() as client:
        answered = client.post(CLASSIFY, json={"url": f"{pictures.url}/coffee"})

    assert "WHATSIT_FETCH_URLS" in require_problem(answered, 403, "urls_off").detail
    assert pictures.connections == before


def test_the_log_warns_of_what_is_allowed_and_names_no_address(client, fetching, pictures):
    client.post(CLASSIFY, json={"url": f"{pictures.url}/plain-0a0b0c"})

    assert "Pictures are fetched from 127.0.0.1/32 too (WHATSIT_FETCH_ALLOW)" in fetching.log
    assert "plain-0a0b0c" not in fetching.log


def test_a_client_that_leaves_ends_the_fetch(fetching, pictures):
    pictures.left.clear()
    with fetching.client() as leaving, pytest.raises(httpx.ReadTimeout):
        leaving.post(CLASSIFY, json={"url": f"{pictures.url}/silent"}, timeout=0.5)

    assert pictures.left.wait(3)


def test_a_few_at_once_of_each_caller_and_a_few_more_of_all(fetching, pictures):
    before = pictures.connections

    def ask(path: str, host: str) -> httpx.Response | None:
        transport = httpx.HTTPTransport(local_address=host)
        with fetching.client(transport=transport) as one:
            try:
                body = {"url": f"{pictures.url}/{path}"}
                answered: httpx.Response = one.post(CLASSIFY, json=body, timeout=2)
            except httpx.ReadTimeout:
                return None
        return answered

    def begin(*hosts: str) -> list[Future[httpx.Response | None]]:
        begun = [pool.submit(ask, "silent", host) for host in hosts * MAX_CALLER_FETCHES]
        assert wait_until(lambda: pictures.connections == before + len(slow + begun))
        return begun

    slow: list[Future[httpx.Response | None]] = []
    with concurrent.futures.ThreadPoolExecutor(MAX_FETCHES) as pool:
        slow += begin("127.0.0.2")
        third, other = ask("coffee", "127.0.0.2"), ask("coffee", "127.0.0.3")
        before += 1
        slow += begin("127.0.0.3", "127.0.0.4", "127.0.0.5")
        ninth = ask("coffee", "127.0.0.6")
        # Whoever sends a picture is not kept waiting by them.
        with fetching.client() as sender:
            sent = sender.post(CLASSIFY, content=plain_picture("#654321"))
        assert [each.result() for each in slow] == [None] * MAX_FETCHES

    assert third is not None
    require_problem(third, 429, "rate_limited")
    assert other is not None
    assert other.status_code == 200
    assert ninth is not None
    require_problem(ninth, 503, "overloaded")
    assert third.headers["retry-after"] == ninth.headers["retry-after"] == "1"
    assert sent.status_code == 200


def test_nothing_stays_held(fetching, client, pictures):
    client.post(CLASSIFY, json={"url": f"{pictures.url}/half"})

    assert wait_until(lambda: fetching.metric("whatsit_held_bytes") == 0)
