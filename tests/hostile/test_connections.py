"""What strangers do before a request is whole: endless heads, silence, floods, foreign pages."""

import base64
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

KB, MB = 1_000, 1_000_000
CLASSIFY = "/api/v1/classify"
CAT = example_pictures()["cat"]
PATIENCE_SECONDS = 10.0
MAX_CONNECTIONS = 20
STRANGER = "127.0.0.2"
"""Another address than that of the other tests, where the system lets one be chosen."""


class Listener:
    """In the place of a proxy: counts who asks the internet for the address of this machine."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.count = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.count += b"checkip" in connection.recv(4_096)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def internet() -> Iterator[Listener]:
    """What a server would reach if it asked for anything outside."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, internet: Listener) -> Iterator[RunningServer]:
    """Page and API, with a small bound on the connections of one address."""
    environment = {
        "WHATSIT_MAX_CONNECTIONS_PER_ADDRESS": str(MAX_CONNECTIONS),
        # Many handshakes of one address, whose number has a bound and tests of its own.
        "WHATSIT_MAX_PAGES": "10000",
        "WHATSIT_MAX_PAGES_PER_ADDRESS": "10000",
        **{f"{scheme}_PROXY": internet.url for scheme in ("HTTP", "HTTPS", "ALL")},
    }
    home = tmp_path_factory.mktemp("site")
    with start_server(home, model="efficientnet-lite2", environment=environment) as running:
        yield running


@contextmanager
def connected(server: RunningServer, source: str = STRANGER) -> Iterator[socket.socket]:
    """A bare connection, from an address of this machine."""
    url = urlsplit(server.url)
    origin = (source, 0) if os.uname().sysname == "Linux" else None
    with socket.create_connection((url.hostname, url.port), PATIENCE_SECONDS, origin) as line:
        yield line


@dataclass(frozen=True)
class Answer:
    """One answer; nothing that follows it on its connection was read."""

    status: int
    headers: Message
    content: bytes


def answer(line: socket.socket, method: str = "GET") -> Answer:
    """The next answer on a connection; one of "100 Continue" is an answer too.

    Raises:
        ConnectionError: The server closed it before.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _exactly(line, 1)
    status_line, _, headers = head.partition(b"\r\n")
    parsed = Parser().parsestr(headers.decode("latin-1"), headersonly=True)
    status, content = int(status_line.split()[1]), b""
    if parsed.get("Transfer-Encoding") == "chunked" and method != "HEAD":
        raise AssertionError("No answer that is read here comes in chunks.")
    if method != "HEAD":
        content = _exactly(line, int(parsed.get("Content-Length", 0)))
    return Answer(status, parsed, content)


def _exactly(line: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = line.recv(size - len(received))
        if not chunk:
            raise ConnectionError("The server closed the connection.")
        received += chunk
    return received


def ends(line: socket.socket) -> bool:
    """Whether the server closes a connection, whatever else it sends before."""
    try:
        while line.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def said(server: RunningServer, start: int) -> list[str]:
    """What it has logged from there on.

    The count of refusals, which comes once a minute, does not count, nor does the line of an answer
    to the test before, which may come late.
    """
    late = ("Connections were refused", " request_id=")
    lines = server.log[start:].splitlines()
    return [line for line in lines if not any(text in line for text in late)]


def post(path: str, body: bytes, *lines: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def resident_bytes(server: RunningServer) -> int:
    return server.resident_bytes()


# Heads


def many_lines() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    while True:
        yield b"X: " + b"a" * 8_000 + b"\r\n"


def one_line() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
    while True:
        yield b"a" * 8_000


def one_target() -> Iterator[bytes]:
    yield b"GET /healthz?"
    while True:
        yield b"a" * 8_000


def one_name() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\n"
    while True:
        yield b"a" * 8_000


def tiny_lines() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    while True:
        yield b"a:\r\n" * 2_000


def after_another_request() -> Iterator[bytes]:
    yield b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield from many_lines()


def trailers() -> Iterator[bytes]:
    yield f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\n".encode()
    yield b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n"
    while True:
        yield b"X: " + b"a" * 8_000 + b"\r\n"


def a_chunk_extension() -> Iterator[bytes]:
    yield f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\n".encode()
    yield b"Transfer-Encoding: chunked\r\n\r\n5;"
    while True:
        yield b"a" * 8_000


@pytest.mark.parametrize(
    "parts",
    [
        *(many_lines, one_line, one_target, one_name, tiny_lines),
        *(after_another_request, trailers, a_chunk_extension),
    ],
)
def test_a_head_without_an_end_is_refused_at_64_kb(site, parts: Callable[[], Iterator[bytes]]):
    sent = 0
    with connected(site) as line:
        for part in parts():
            try:
                line.sendall(part)
            except ConnectionError:
                break
            sent += len(part)
            if sent > 400 * KB:
                break
        statuses = re.findall(rb"HTTP/1.1 (\d+) ", read_away(line))

    assert statuses[-1:] == [b"431"]
    assert ends_soon(statuses)


def read_away(line: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := line.recv(65_536):
            received += chunk
    except (ConnectionResetError, TimeoutError):
        pass
    return received


def ends_soon(statuses: list[bytes]) -> bool:
    return set(statuses[:-1]) <= {b"200"}


def test_heads_of_a_usual_size_are_taken_however_they_are_cut(site):
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 50_000 + b"\r\n\r\n"
    with connected(site) as line:
        for size in (len(head), 1_000, 7_919):
            for start in range(0, len(head), size):
                line.sendall(head[start : start + size])
            assert answer(line).status == 200


def test_a_refused_head_is_a_sentence(site):
    with connected(site) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n")
        refusal = answer(line)
        assert ends(line)

    assert (refusal.status, refusal.headers["Connection"]) == (431, "close")
    assert refusal.headers.get_content_type() == "application/problem+json"
    document = json.loads(refusal.content)
    assert document["code"] == "head_too_large"
    assert document["detail"].endswith(".")


def test_trailers_do_not_become_headers(site):
    """They come after the door has looked at the headers."""
    with connected(site) as line:
        line.sendall(
            f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            f"{len(CAT):x}\r\n".encode()
            + CAT
            + b"\r\n0\r\nContent-Type: application/json\r\nHost: evil.example\r\n\r\n"
        )
        assert answer(line, "POST").status == 200


def test_requests_that_wait_in_one_connection_take_no_memory(site):
    before = resident_bytes(site)
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(site)) for _ in range(10)]
        for line in lines:
            line.settimeout(1)
            try:
                for _ in range(20):
                    line.sendall(b"GET /a HTTP/1.1\r\n\r\n" * 13_000)
            except (TimeoutError, ConnectionError):
                pass
        grown = resident_bytes(site) - before
    assert grown < 60 * MB
    assert healthy(site)


def healthy(server: RunningServer) -> bool:
    with server.client() as client:
        return client.get("/healthz").status_code == 200


# Connections


def test_one_address_opens_no_more_connections_than_its_bound(site):
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(site)) for _ in range(3 * MAX_CONNECTIONS)]
        refused = [line for line in lines[MAX_CONNECTIONS:] if answer(line).status == 503]
        assert len(refused) == 2 * MAX_CONNECTIONS
        assert healthy(site), "another address is served"
        for line in lines[:MAX_CONNECTIONS]:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer(line).status == 200
    assert wait_until(lambda: speaks(site)), "the bound is free again"
    assert site.log.count("over the bound") <= 1


def speaks(server: RunningServer) -> bool:
    with connected(server) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return answer(line).status == 200


def test_many_descriptors_may_be_open(site):
    limits = Path(f"/proc/{site.process.pid}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()  # type: ignore[union-attr]
    assert int(soft) >= min(int(hard), 8_192)


@pytest.mark.parametrize("size", [20 * MB + 1, 30 * MB, 10_000 * MB])
@pytest.mark.parametrize("expects", [False, True])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (CLASSIFY, "image/jpeg"),
        ("/api/v1/explain", "image/jpeg"),
        (CLASSIFY, "multipart/form-data; boundary=edge"),
        ("/api/v1/feedback", "application/json"),
        ("/api/v1/feedback", "multipart/form-data; boundary=edge"),
        ("/api/hf/models/whatsit", "image/jpeg"),
        ("/api/hf/models/whatsit", "application/json"),
        ("/v2/models/whatsit/infer", "application/json"),
    ],
)
def test_a_claimed_length_beyond_the_limit_is_refused_by_the_head(site, path, kind, size, expects):
    if "json" in kind:
        size = size * 4 // 3 + 64_000
    size += 64_000 if "form" in kind else 0
    more = "Expect: 100-continue\r\n" if expects else ""
    with connected(site) as line:
        line.settimeout(3)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{more}"
        line.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        refusal = answer(line, "POST")

    assert refusal.status == 413
    assert json.loads(refusal.content)["code"] == "image_too_large"
    assert refusal.headers["Connection"] == "close"


def test_whoever_sends_a_little_too_much_can_read_the_answer(site):
    with connected(site) as line:
        line.sendall(post(CLASSIFY, bytes(21 * MB)))  # no error, though the answer has come
        refusal = answer(line, "POST")
        assert ends(line)

    assert refusal.status == 413


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (f"POST {CLASSIFY}?top_k=0", 422),
        ("POST /api/v1/nothing", 404),
        ("PUT /_stcore/upload_file/a/b", 403),
        ("POST /healthz", 405),
        ("GET /healthz", 200),
    ],
)
def test_the_rest_of_a_body_that_nobody_reads_is_not_read_for_ever(site, request_line, status):
    with connected(site) as line:
        head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000000\r\n\r\n"
        line.sendall(head.encode() + bytes(1_000))
        refusal = answer(line, request_line.split()[0])
        assert refusal.status == status
        assert refusal.headers["Connection"] == "close"
        with pytest.raises((ConnectionError, TimeoutError)):
            line.sendall(bytes(120 * MB))


def test_a_client_that_leaves_amid_a_pipeline_is_no_error_of_ours(site):
    failed = re.compile(r'^whatsit_http_requests_total\{.*status="5\d\d"\} (\S+)$', re.MULTILINE)

    def failures() -> float:
        with site.client() as client:
            return sum(map(float, failed.findall(client.get("/metrics").text)))

    before, logged = failures(), len(site.log)
    requests = b"".join(
        [
            post(f"{CLASSIFY}?cache=bypass", CAT),
            b"GET /api/v1/labels?q=bee HTTP/1.1\r\nHost: localhost\r\n\r\n",
            post(f"{CLASSIFY}?cache=bypass", CAT),
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ]
    )
    for number in range(12):
        with connected(site) as line:
            line.sendall(requests * 3)
            if number % 3 == 1:
                line.recv(1)
            if number % 2:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert wait_until(lambda: site.metric("whatsit_queue_pictures") == 0)

    assert failures() == before
    assert "Traceback" not in site.log[logged:]


# Offers of other protocols


@pytest.mark.parametrize(
    "offer",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"),
        ("Connection: upgrade", "Upgrade: h2c, websocket"),
        ("Connection: Upgrade", "Upgrade: TLS/1.0"),
        ("Connection: Upgrade", "Upgrade: websocket"),
        ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c"),
        ("Connection: Upgrade", "Upgrade: foo", "Upgrade: websocket"),
        ("Upgrade: h2c",),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_of_another_protocol_is_ignored(site, offer, chunked):
    if chunked:
        head = [
            f"POST {CLASSIFY} HTTP/1.1",
            "Host: localhost",
            *offer,
            "Transfer-Encoding: chunked",
        ]
        body = f"{len(CAT):x}\r\n".encode() + CAT + b"\r\n0\r\n\r\n"
        request = "\r\n".join([*head, "", ""]).encode() + body
    else:
        request = post(CLASSIFY, CAT, *offer)
    with connected(site) as line:
        for _ in range(2):
            line.sendall(request[:200])
            line.sendall(request[200:])
            assert answer(line, "POST").status == 200
        line.sendall(request * 2)  # and one after the other, at once
        assert [answer(line, "POST").status for _ in range(2)] == [200, 200]


def test_curl_offers_http_2_and_is_answered(site, tmp_path):
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(CAT)
    command = ["curl", "--silent", "--http2", "--data-binary", f"@{picture}"]
    try:
        done = subprocess.run(
            [*command, f"{site.url}{CLASSIFY}"], capture_output=True, timeout=20, check=True
        )
    except FileNotFoundError:
        pytest.skip("There is no curl.")
    assert "cat" in json.loads(done.stdout)["answer"]["label"]


# HEAD


@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/readyz", "/metrics", "/api/v1/models", "/api/v1/labels?q=bee"),
        *("/api/v1/labels/n02206856", "/api/docs", "/api/openapi.json", "/v2", "/v2/health/live"),
        *("/v2/health/ready", "/v2/models/whatsit", "/v2/models/whatsit/ready", "/api/v1/drift"),
        *("/api/docs-assets/swagger-ui.css", "/api/nothing", f"/api/v1/answers/{'0' * 64}"),
        *("/", "/model", "/_stcore/health", "/_stcore/host-config", "/whatsit-assets/ask/main.js"),
        *("/whatsit-assets/nothing", "/static/nothing.js", "/media/nothing.png"),
    ],
)
def test_head_is_answered_as_get_is_but_for_the_body(site, path):
    with site.client() as client:
        got, asked = client.get(path), client.head(path)

    assert asked.status_code == got.status_code
    assert asked.content == b""
    volatile = {"x-request-id", "server-timing", "date", "set-cookie", "content-length"}
    volatile |= {"transfer-encoding"}  # says how a body is sent, where there is one
    assert {k: v for k, v in asked.headers.items() if k not in volatile} == {
        k: v for k, v in got.headers.items() if k not in volatile
    }
    if path != "/metrics":  # its figures grow between the two
        assert asked.headers.get("content-length") == got.headers.get("content-length")


# The page's WebSocket

STREAM = "/_stcore/stream"


def handshake(*lines: str, host: str = "localhost", path: str = STREAM) -> bytes:
    head = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def frame(payload: bytes, opcode: int = 2, *, final: bool = True, packed: bool = False) -> bytes:
    first = (0x80 if final else 0) | (0x40 if packed else 0) | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload  # a mask of zeros changes nothing


@contextmanager
def page_socket(server: RunningServer) -> Iterator[socket.socket]:
    """A WebSocket of the page, accepted; compression is offered."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    with connected(server) as line:
        line.sendall(handshake(offer))
        accepted = answer(line)
        assert accepted.status == 101
        assert "Sec-WebSocket-Extensions" not in accepted.headers
        yield line


def close_code(line: socket.socket) -> int | None:
    """The code that the server closes a WebSocket with; what it sends before is passed over."""
    received = read_away(line)
    while len(received) >= 2:
        opcode, size = received[0] & 0x0F, received[1] & 0x7F
        start = 2
        if size == 126:
            (size,), start = struct.unpack("!H", received[2:4]), 4
        elif size == 127:
            (size,), start = struct.unpack("!Q", received[2:10]), 10
        if opcode == 8:
            return int.from_bytes(received[start : start + 2])
        received = received[start + size :]
    return None


def test_nothing_packed_is_taken(site):
    with page_socket(site) as line:
        line.sendall(frame(bytes(15_000), packed=True))
        assert close_code(line) == 1002


@pytest.mark.parametrize("fragments", [1, 10, 300])
def test_a_message_has_256_kb_at_most(site, fragments):
    size = 300 * KB // fragments
    with page_socket(site) as line:
        try:
            for number in range(fragments):
                opcode = 0 if number else 2
                line.sendall(frame(bytes(size), opcode, final=number == fragments - 1))
        except ConnectionError:
            pass
        # Of many fragments their number is too much as well.
        assert close_code(line) in ((1009, 1008) if fragments == 300 else (1009,))


@pytest.mark.parametrize(
    "flood",
    [
        frame(b"") * 20_000,
        frame(b"", final=False) + frame(b"", 0, final=False) * 20_000,
        frame(b"ping", 9) * 20_000,
        frame(b"p" * 125, 9) * 20_000,
        frame(b"pong", 10) * 20_000,
    ],
    ids=["messages", "fragments", "pings", "long pings", "pongs"],
)
def test_a_flood_in_a_websocket_ends_it(site, flood):
    started = time.monotonic()
    with page_socket(site) as line:
        with suppress(ConnectionError):
            line.sendall(flood)
        assert close_code(line) in (1008, None)  # the end of the flood may overtake the reason
        assert time.monotonic() - started < PATIENCE_SECONDS - 1
    assert healthy(site)


@pytest.mark.extended
@pytest.mark.parametrize(("opcode", "code"), [(1, 1003), (2, 1008), (3, 1002), (0, 1002)])
def test_what_is_no_message_of_the_page_ends_its_websocket_without_a_word(site, opcode, code):
    logged = len(site.log)
    with page_socket(site) as line:
        line.sendall(frame(b"hello", opcode))
        assert close_code(line) == code
    assert said(site, logged) == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 101),
        (("Origin: http://localhost",), 101),
        (("Origin: https://localhost",), 101),  # TLS ended at a proxy
        (("Origin: HTTP://LOCALHOST",), 101),
        (("Origin: http://localhost:80",), 101),
        (("Origin: http://evil.example",), 403),
        (("Origin: http://localhost:3000",), 403),
        (("Origin: http://localhost.evil.example",), 403),
        (("Origin: http://127.0.0.1",), 403),
        (("Origin: null",), 403),
        (("Origin: ",), 403),
        (("Origin: file://",), 403),
        (("Origin: http://evil.example@localhost",), 403),
        (("Origin: http://localhost", "Sec-Fetch-Site: cross-site"), 403),
        (("Origin: http://localhost", "Origin: http://evil.example"), 400),
        (("Origin: http://localhost", "Origin: http://localhost"), 400),
        (("X: " + "a" * 20_000,), 431),
        (tuple(f"X-{n}: a" for n in range(200)), 431),
    ],
)
def test_a_handshake_is_the_page_s_own(site, internet, lines, status):
    logged, asked = len(site.log), internet.count
    started = time.monotonic()
    with connected(site) as line:
        line.sendall(handshake(*lines))
        assert answer(line).status == status
    assert time.monotonic() - started < 20
    assert internet.count == asked
    assert said(site, logged) == []


@pytest.mark.parametrize("path", [CLASSIFY, "/api/v1/explain", "/v2/models/whatsit/infer", "/x"])
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Sec-Fetch-Site: cross-site",), 403),
        (("Sec-Fetch-Site: same-site",), 403),
        (("Origin: http://evil.example",), 403),
        (("Origin: null",), 403),
        (("Origin: http://localhost", "Origin: http://localhost"), 400),
        (("Authorization: Bearer a", "Authorization: Bearer b"), 400),
        (("X-API-Key: a", "X-API-Key: b"), 400),
        (("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"), 400),
    ],
)
def test_a_page_of_another_site_makes_nobody_work(site, path, lines, status):
    with connected(site) as line:
        line.sendall(post(f"{path}?cache=refresh", CAT, *lines))
        refusal = answer(line, "POST")
    assert refusal.status == status
    assert refusal.headers.get_content_type() == "application/problem+json"


def test_the_internet_is_not_asked_for_our_address(site, internet):
    with site.client() as client:
        for path in ("/_stcore/health", "/", "/_stcore/host-config"):
            client.get(path, headers={"Origin": "http://evil.example"})
            client.options(path, headers={"Origin": "http://evil.example"})
    assert internet.count == 0
    assert "evil" not in site.log


def test_a_websocket_where_there_is_no_page_is_a_request_like_any_other(api):
    with connected(api) as line:
        for path in ("/", "/_stcore/stream", CLASSIFY):
            line.sendall(handshake(path=path))
            assert answer(line).status in (404, 405)
    assert "Traceback" not in api.log
