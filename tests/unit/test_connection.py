"""Times, numbers and slow readers on connections, with bounds of tenths of a second."""

import asyncio
import base64
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from tests.support.waiting import wait_until
from whatsit.access.networks import parse_networks
from whatsit.web.connection.http import HttpConnection
from whatsit.web.connection.lines import Bounds, Line, Lines, raise_descriptor_limit
from whatsit.web.connection.websocket import Allowance, WebSocketConnection

SHORT = Bounds(
    per_address=3,
    in_all=5,
    first_byte_seconds=0.3,
    head_seconds=0.6,
    head_bytes=10_000,
    waiting_requests=3,
    linger_bytes=1_000_000,
    linger_seconds=2.0,
    quiet_seconds=0.3,
    stuck_seconds=0.3,
    look_seconds=0.05,
)
LARGE = 8_000_000
"""More than the system keeps for a client that does not read."""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE_SECONDS = 10.0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says its path; reads a body only where it is asked to; sends much under /large."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            for _ in range(20):
                await send({"type": "websocket.send", "bytes": bytes(1_000_000)})
    body = scope["path"].encode()
    while scope["path"] in ("/read", "/long"):
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/large":
        body = bytes(LARGE)
    await asyncio.sleep({"/slow": 0.2, "/long": 1.0}.get(scope["path"], 0))
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Site:
    """A server in a thread."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=partial(HttpConnection, lines=lines),  # type: ignore[arg-type]
            ws=partial(WebSocketConnection, lines=lines),  # type: ignore[arg-type]
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True
        )
        self.thread.start()
        assert wait_until(lambda: self.server.started, seconds=PATIENCE_SECONDS)

    @contextmanager
    def connected(self, **options: int) -> Iterator[socket.socket]:
        with socket.socket() as line:
            for name, value in options.items():
                line.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
            line.settimeout(PATIENCE_SECONDS)
            line.connect(self.address)
            yield line

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE_SECONDS)


@contextmanager
def serving(bounds: Bounds = SHORT, unlimited: str = "") -> Iterator[Site]:
    site = Site(Lines(bounds, parse_networks(unlimited)))
    try:
        yield site
    finally:
        site.stop()
        assert len(site.lines) == 0, "no connection is forgotten"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


def everything(line: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    try:
        while chunk := line.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def seconds_until_closed(line: socket.socket) -> tuple[float, bytes]:
    started = time.monotonic()
    received = everything(line)
    return time.monotonic() - started, received


def test_a_connection_that_says_nothing_ends(site):
    with site.connected() as line:
        seconds, received = seconds_until_closed(line)

    assert received == b""
    assert seconds >= SHORT.first_byte_seconds - 0.1


@pytest.mark.parametrize("start", [b"", GET], ids=["the first", "a later one"])
@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nX: ", b"G", b"POST /read HTTP/1.1\r\nX: y\r\n"]
)
def test_a_head_that_does_not_come_in_time_is_refused(site, start, head):
    with site.connected() as line:
        line.sendall(start + head)
        seconds, received = seconds_until_closed(line)

    assert received.count(b"HTTP/1.1 ") == (2 if start else 1)
    assert b"HTTP/1.1 408 " in received
    assert b"request_too_slow" in received
    assert seconds >= SHORT.head_seconds - 0.1


def test_a_head_that_drips_is_refused_as_well(site):
    with site.connected() as line:
        line.settimeout(0.05)
        received = b""
        for byte in b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1_000:
            line.sendall(bytes([byte]))
            try:
                received = line.recv(65_536)
                break
            except TimeoutError:
                continue

    assert received.startswith(b"HTTP/1.1 408 ")


def test_line_ends_alone_are_no_way_to_stay(site):
    with site.connected() as line:
        line.sendall(GET)
        line.settimeout(0.05)
        deadline = time.monotonic() + PATIENCE_SECONDS
        with pytest.raises(ConnectionError):  # noqa: PT012
            while time.monotonic() < deadline:
                line.sendall(b"\r\n")
                try:
                    if line.recv(65_536) == b"":
                        raise ConnectionError
                except TimeoutError:
                    continue


@pytest.mark.parametrize("more", [b"", b"\r\n"], ids=["nothing", "a line end"])
def test_a_body_and_its_answer_may_take_longer_than_a_head(site, more):
    with site.connected() as line:
        line.sendall(b"POST /long HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo")
        time.sleep(1.3 * SHORT.head_seconds)
        line.sendall(b"dy" + more)
        if more:
            line.sendall(more)
        assert b"/longbody" in line.recv(65_536)


@pytest.mark.parametrize("pieces", [1, 7, 1_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_requests_are_understood_however_they_are_cut(framing, pieces):
    body = bytes(range(256)) * 8
    if framing == "length":
        one = b"POST /read HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    else:
        chunks = b"".join(b"%x;x=y\r\n" % 256 + body[:256] + b"\r\n" for _ in range(8))
        one = b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
        one += b"0\r\nX: y\r\n\r\n"
    offer = one.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 1)
    last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    sent = one + offer + GET + last
    step = -(-len(sent) // pieces)
    patient = replace(SHORT, head_seconds=60, waiting_requests=9)
    with serving(patient) as site, site.connected() as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), step):
            line.sendall(sent[start : start + step])
        received = everything(line)

    assert received.count(b"HTTP/1.1 200 ") == 4
    assert received.count(body) == 2


def test_a_refused_body_is_read_away_only_within_bounds(site):
    head = b"POST /x HTTP/1.1\r\nContent-Length: 900000000\r\n\r\n"
    with site.connected() as line:  # quietly
        line.sendall(head + bytes(1_000))
        seconds, received = seconds_until_closed(line)
    assert b"connection: close" in received
    assert seconds < SHORT.linger_seconds

    with site.connected() as line:  # dripping
        line.sendall(head)
        started = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012
            while time.monotonic() - started < PATIENCE_SECONDS:
                line.sendall(bytes(10))
                time.sleep(0.05)
    assert time.monotonic() - started >= SHORT.linger_seconds - 0.2

    with site.connected() as line, pytest.raises(ConnectionError):  # all at once
        line.sendall(head + bytes(60 * SHORT.linger_bytes))


def test_a_body_that_was_not_read_but_came_whole_keeps_the_connection(site):
    with site.connected() as line:
        for _ in range(2):
            line.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
            received = line.recv(65_536)
            assert received.startswith(b"HTTP/1.1 200 ")
            assert b"close" not in received


def test_more_requests_than_may_wait_are_not_read(site):
    with site.connected() as line:
        line.sendall(b"GET /slow HTTP/1.1\r\n\r\n" * 500)
        received = everything(line)

    assert received.count(b"HTTP/1.1 200 ") == SHORT.waiting_requests + 1
    assert received.count(b"connection: close") == 1


def test_something_else_than_http_waits_for_what_was_asked_before(site):
    with site.connected() as line:
        line.sendall(b"GET /slow HTTP/1.1\r\n\r\n\x16\x03\x01\x02\x00")
        received = everything(line)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"/slow")

    with site.connected() as line:
        line.sendall(b"\x16\x03\x01\x02\x00")
        received = everything(line)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_request" in received


def test_a_client_that_does_not_read_its_answer_loses_it(site):
    with site.connected(SO_RCVBUF=4_096) as line:
        line.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        assert wait_until(lambda: len(site.lines) == 0, seconds=PATIENCE_SECONDS)


def test_a_client_that_reads_slowly_gets_its_answer():
    patient = replace(SHORT, stuck_seconds=1.0)
    with serving(patient) as site, site.connected(SO_RCVBUF=65_536) as line:
        line.sendall(b"GET /large HTTP/1.1\r\nConnection: close\r\n\r\n")
        received, started = 0, time.monotonic()
        while chunk := line.recv(65_536):
            received += len(chunk)
            time.sleep(0.012)
    assert received > LARGE
    assert time.monotonic() - started > patient.stuck_seconds


HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % base64.b64encode(bytes(16))
)


def test_a_websocket_that_does_not_read_ends(site):
    with site.connected(SO_RCVBUF=4_096) as line:
        line.sendall(HANDSHAKE)
        assert line.recv(12) == b"HTTP/1.1 101"
        line.sendall(struct.pack("!BB", 0x82, 0x80 | 1) + bytes(5))
        assert len(site.lines) == 1
        assert wait_until(lambda: len(site.lines) == 0, seconds=PATIENCE_SECONDS)


def test_an_accepted_websocket_may_be_silent(site):
    with site.connected() as line:
        line.sendall(HANDSHAKE)
        time.sleep(1.5 * SHORT.head_seconds)
        assert len(site.lines) == 1


def test_a_handshake_amid_other_requests_is_refused(site):
    with site.connected() as line:
        line.sendall(b"GET /slow HTTP/1.1\r\n\r\n" + HANDSHAKE)
        received = everything(line)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b" 101 " not in received


def statuses(site: Site, count: int) -> list[bytes]:
    """What so many connections at once are answered."""
    lines = [socket.create_connection(site.address, PATIENCE_SECONDS) for _ in range(count)]
    answers = []
    for line in lines:
        try:
            line.sendall(GET)
            answers.append(line.recv(12)[9:12])
        except ConnectionError:
            answers.append(b"")
    for line in lines:
        line.close()
    assert wait_until(lambda: len(site.lines) == 0, seconds=PATIENCE_SECONDS)
    return answers


def test_an_address_and_all_of_them_have_so_many_connections(caplog):
    patient = replace(SHORT, first_byte_seconds=60, head_seconds=60)
    with serving(patient) as site:
        answers = statuses(site, 8)
        assert answers[:3] == [b"200"] * 3
        assert not {b"200"} & set(answers[3:])
        assert statuses(site, 2) == [b"200"] * 2, "those that ended are not counted any more"

    with serving(patient, unlimited="127.0.0.0/8, ::1") as behind_a_proxy:
        answers = statuses(behind_a_proxy, 8)
        assert answers[:5] == [b"200"] * 5
        assert not {b"200"} & set(answers[5:])
        assert wait_until(
            lambda: "refused: 3 over the bound of all." in caplog.text, seconds=PATIENCE_SECONDS
        )


def test_connections_do_not_keep_a_server_from_stopping():
    endings: list[Callable[[socket.socket], Any]] = [
        lambda line: None,
        lambda line: line.sendall(b"GET / HT"),
        lambda line: line.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nb"),
    ]
    slow = replace(SHORT, first_byte_seconds=60, head_seconds=60, quiet_seconds=60)
    with serving(slow) as site:
        lines = [socket.create_connection(site.address) for _ in endings]
        for line, do in zip(lines, endings, strict=True):
            do(line)
        assert wait_until(lambda: len(site.lines) == 3, seconds=PATIENCE_SECONDS)
        started = time.monotonic()
        site.stop()
        assert time.monotonic() - started < 20
    for line in lines:
        line.close()


class Nowhere:
    """A transport that was closed: writing to it is an error, as it is with uvloop."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("The handler is closed.")

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return True


def test_writing_to_a_line_that_is_gone_is_no_error():
    line = Line(Nowhere(), Lines(SHORT), "a", 0.0)  # type: ignore[arg-type]
    line.lost()
    line.write(b"x")
    line.close()
    assert line.is_closing()


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=50))
def test_an_allowance_is_never_exceeded(steps):
    """In any stretch of time no more is taken than ten seconds' worth and what it earned."""
    allowance, now, taken = Allowance(2.0, 0.0), 0.0, 0
    for pause, amount in steps:
        now += pause
        if not allowance.take(amount, now):
            break
        taken += amount
        assert taken <= 20 + 2.0 * now + 1e-6


def test_an_allowance_comes_back():
    allowance = Allowance(2.0, 0.0)
    assert allowance.take(20, 0.0)
    assert not allowance.take(1, 0.1)
    assert allowance.take(1, 5.0)


def test_connections_fit_below_the_descriptors():
    import resource

    room = raise_descriptor_limit()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < room < soft
