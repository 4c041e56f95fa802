"""Bodies that come slowly, come in masses, or whose sender leaves."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from httpx import URL

from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture

GRACE_SECONDS = 1.0
MAX_HELD_BYTES = 2_000_000


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(
        tmp_path_factory.mktemp("home"),
        "--no-ui",
        model="efficientnet-lite2",
        environment={
            "WHATSIT_BODY_GRACE_SECONDS": str(GRACE_SECONDS),
            "WHATSIT_MAX_HELD_BYTES": str(MAX_HELD_BYTES),
            "WHATSIT_INFERENCE_THREADS": "1",
        },
    ) as server:
        yield server


def connect(server: RunningServer) -> socket.socket:
    url = URL(server.url)
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def head(length: int, path: str = "/api/v1/classify") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def read_to_the_end(connection: socket.socket) -> bytes:
    """Everything until the server closes, as it does where a body was not read."""
    connection.settimeout(10)
    chunks = []
    try:
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    except ConnectionResetError:
        pass  # what we sent after it closed
    return b"".join(chunks)


def held_bytes(server: RunningServer) -> float:
    return gauge(server, "whatsit_held_bytes")


def gauge(server: RunningServer, name: str) -> float:
    with server.client() as client:
        for line in client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    raise AssertionError(f"There is no metric {name}.")


@pytest.mark.parametrize("pause", [30.0, 0.1], ids=["stalls", "drips"])
def test_a_body_that_does_not_keep_up_is_cut_off(strict_server, pause):
    picture = example_pictures()["bee"]
    with connect(strict_server) as connection:
        start = time.monotonic()
        connection.sendall(head(len(picture)))
        connection.settimeout(pause)
        answer = b""
        for byte in picture[:100]:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(1)
            except TimeoutError:
                continue
            answer += read_to_the_end(connection)
            break
        elapsed = time.monotonic() - start

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "request_too_slow"' in answer
    assert elapsed >= GRACE_SECONDS


def test_a_body_that_keeps_up_may_take_longer_than_the_grace(strict_server):
    picture = example_pictures()["bee"]
    steps = 8
    size = -(-len(picture) // steps)
    with connect(strict_server) as connection:
        connection.sendall(head(len(picture)))
        for start in range(0, len(picture), size):
            connection.sendall(picture[start : start + size])
            time.sleep(1.5 * GRACE_SECONDS / steps)

        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_who_finds_no_room_waits_for_it(strict_server):
    picture = example_pictures()["bee"]
    with ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(connect(strict_server))
            connection.sendall(head(990_000) + bytes(900_000))
        assert wait_until(lambda: held_bytes(strict_server) >= 1_700_000, seconds=GRACE_SECONDS)
        late = stack.enter_context(connect(strict_server))
        late.sendall(head(len(picture)) + picture)
        answer = late.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert wait_until(lambda: held_bytes(strict_server) == 0)


def test_chunks_that_are_more_than_may_be_held_are_told_to_come_later(strict_server):
    with connect(strict_server) as connection:
        start = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        connection.sendall(start + b"200000\r\n" + bytes(0x200000))
        answer = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 1\r\n" in answer.lower()
    assert b'"code": "rate_limited"' in answer
    assert wait_until(lambda: held_bytes(strict_server) == 0)


def test_clients_that_leave_take_their_pictures_along(strict_server):
    picture = plain_picture("red", size=(8000, 5000))
    request = head(len(picture), "/api/v1/classify?cache=bypass") + picture
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(strict_server)).sendall(request)
        assert wait_until(lambda: gauge(strict_server, "whatsit_queue_pictures") > 10)
    assert wait_until(lambda: gauge(strict_server, "whatsit_queue_pictures") == 0)

    with strict_server.client() as client:
        assert client.post("/api/v1/classify", content=example_pictures()["cat"]).is_success
        metrics = client.get("/metrics").text
    assert 'whatsit_http_requests_total{route="/api/v1/classify",status="499"}' in metrics
    assert held_bytes(strict_server) == 0


@pytest.mark.parametrize("route", ["/api/v1/classify", "/api/v1/explain"])
def test_a_client_that_leaves_while_it_sends_is_no_error_of_ours(strict_server, route):
    counted = f'whatsit_http_requests_total{{route="{route}",status="499"}}'

    def count() -> float:
        with strict_server.client() as client:
            lines = client.get("/metrics").text.splitlines()
        assert f'whatsit_http_requests_total{{route="{route}",status="500"}}' not in str(lines)
        return next((float(line.split()[1]) for line in lines if line.startswith(counted)), 0)

    before = count()
    with connect(strict_server) as connection:
        connection.sendall(head(50_000, route) + bytes(20_000))
        time.sleep(0.2)
    assert wait_until(lambda: count() == before + 1)
    assert "A request failed" not in strict_server.log
