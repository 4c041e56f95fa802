"""Fetching a picture from real servers: well-behaved, hostile, slow, and not to be asked at all."""

import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import trustme

from tests.support.picture_servers import PictureServer, answer, serve_bytes, wait_for_leaving
from tests.support.waiting import wait_until
from whatsit.access.networks import parse_networks
from whatsit.errors import ImageTooLarge, InvalidParameter, Overloaded, RateLimited, UrlUnreachable
from whatsit.web.api.fetching.fetcher import MAX_REDIRECTS, Fetcher

BODY = b"what was asked for" * 1000
MAX_BYTES = 100_000
EVERY_PORT = range(1, 65_536)
ALLOWED = parse_networks("127.0.0.1")
"""Only that address: all others of the loopback network stand for the inside of a network."""


def fetcher(**changes) -> Fetcher:
    facts = {
        "max_bytes": MAX_BYTES,
        "ports": EVERY_PORT,
        "allowed": ALLOWED,
        "total_seconds": 5.0,
        "connect_seconds": 2.0,
    }
    return Fetcher(**{**facts, **changes})


def fetch(url: str, **changes) -> bytes:
    return asyncio.run(fetcher(**changes).fetch(url, "somebody")).image_bytes


class Resolver:
    """Gives out one list of addresses after the other, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture
def inside() -> Iterator[PictureServer]:
    """A server that must not be asked."""
    with PictureServer(serve_bytes(b"secret"), host="127.0.0.2") as server:
        yield server


def test_a_body_is_fetched_with_its_digest_and_nothing_is_told_about_anybody():
    with PictureServer(serve_bytes(BODY)) as server:
        picture = asyncio.run(fetcher().fetch(f"{server.url}/a b?c=d#e", "somebody"))
        again = asyncio.run(fetcher().fetch(f"{server.url}/a%20b?c=d", "somebody"))

    assert picture == again
    assert picture.image_bytes == BODY
    assert len(picture.sha256) == 64
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a%20b?c=d HTTP/1.1"
    names = {line.partition(":")[0] for line in lines[1:] if line}
    assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert "Accept-Encoding: identity" in lines


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1"])
def test_an_address_that_is_not_public_is_never_asked(host, inside):
    with pytest.raises(UrlUnreachable):
        fetch(f"http://{host}:{inside.port}/")

    assert inside.connections == 0


def test_without_an_allowance_loopback_is_never_asked():
    with PictureServer(serve_bytes(BODY)) as server:
        for host in ("127.0.0.1", "localhost", "localhost."):
            with pytest.raises(UrlUnreachable):
                fetch(f"http://{host}:{server.port}/", allowed=())

    assert server.connections == 0


@pytest.mark.parametrize("found", [["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["::1%1"], ["x"], []])
def test_every_address_of_a_name_must_be_public(found, inside):
    with pytest.raises(UrlUnreachable):
        fetch(f"http://example.org:{inside.port}/", resolve=Resolver(found))

    assert inside.connections == 0


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_looked_up(inside):
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    with PictureServer(serve_bytes(BODY)) as server:
        # The name is a real one, and stands for something else whenever anybody else asks.
        assert fetch(f"http://rebind.example:{server.port}/", resolve=resolver) == BODY

    assert resolver.asked == ["rebind.example"]
    assert f"Host: rebind.example:{server.port}".encode() in server.requests[0]
    assert inside.connections == 0


def test_the_next_address_is_tried_where_one_does_not_answer():
    resolver = Resolver(["127.0.0.3", "127.0.0.1"])
    with PictureServer(serve_bytes(BODY)) as server:
        url = f"http://example.org:{server.port}/"
        assert fetch(url, resolve=resolver, allowed=parse_networks("127.0.0.0/8")) == BODY


def redirecting(*locations: str, status: str = "302 Found"):
    """Redirects the path /0 to the first, /1 to the second, and has a body at others."""

    def respond(client: socket.socket, path: str) -> None:
        number = path.strip("/")
        if number.isdigit() and int(number) < len(locations):
            location = locations[int(number)]
            client.sendall(answer(b"", status, Location=location, Set_Cookie="a=b"))
        else:
            client.sendall(answer(BODY))

    return respond


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_redirects_are_followed_without_cookies(status):
    with PictureServer(serve_bytes(b"")) as server:
        server.respond = redirecting(
            "/1", "2", f"//127.0.0.1:{server.port}/the-picture", status=status
        )
        assert fetch(f"{server.url}/0") == BODY

    assert len(server.requests) == 1 + MAX_REDIRECTS
    assert not any(b"ookie" in request for request in server.requests)


def test_redirects_end():
    with PictureServer(redirecting("/0")) as server, pytest.raises(UrlUnreachable):
        fetch(f"{server.url}/0")

    assert len(server.requests) == 1 + MAX_REDIRECTS


def test_a_redirect_into_the_inside_is_not_followed(inside):
    redirect = redirecting(f"http://127.0.0.2:{inside.port}/")
    with PictureServer(redirect) as server, pytest.raises(UrlUnreachable):
        fetch(f"{server.url}/0")

    assert (server.connections, inside.connections) == (1, 0)


def test_a_redirect_to_a_name_of_the_inside_is_not_followed(inside):
    resolver = Resolver(["127.0.0.1"], ["127.0.0.2"])
    redirect = redirecting(f"http://db.internal:{inside.port}/")
    with PictureServer(redirect) as server, pytest.raises(UrlUnreachable):
        fetch(f"http://example.org:{server.port}/0", resolve=resolver)

    assert resolver.asked == ["example.org", "db.internal"]
    assert (server.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_FLUSHALL"),
        *("http://a:b@127.0.0.1:{port}/", "http://127.1:{port}/", "http://0x7f000001:{port}/"),
        *("http://2130706433:{port}/", "http://[::1", ""),
    ],
)
def test_a_redirect_to_anything_else_is_not_followed(location):
    with PictureServer(serve_bytes(BODY)) as server:
        server.respond = redirecting(location.format(port=server.port))
        with pytest.raises(UrlUnreachable):
            fetch(f"{server.url}/0")
    # An empty one means the page itself, over and over.
    assert len(server.requests) == (1 if location else 1 + MAX_REDIRECTS)


def test_a_redirect_to_a_port_that_is_not_listed_is_not_followed():
    with PictureServer(serve_bytes(BODY)) as other, PictureServer(serve_bytes(BODY)) as server:
        server.respond = redirecting(f"{other.url}/")
        with pytest.raises(UrlUnreachable):
            fetch(f"{server.url}/0", ports={server.port})

    assert (server.connections, other.connections) == (1, 0)


def endless(client: socket.socket, path: str) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent = 0
    while sent < 50_000_000:
        client.sendall(b"2000\r\n" + b"x" * 8192 + b"\r\n")
        sent += 8192


def declared(client: socket.socket, path: str) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx")
    wait_for_leaving(client)


def undeclared(client: socket.socket, path: str) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BYTES + 1))


@pytest.mark.parametrize("respond", [endless, declared, undeclared])
def test_more_than_the_limit_is_refused_before_it_is_read(respond):
    with PictureServer(respond) as server:
        start = time.monotonic()
        with pytest.raises(ImageTooLarge):
            fetch(server.url)
        assert time.monotonic() - start < 20
        if respond is not undeclared:
            assert server.left.wait(5)


def test_the_limit_itself_is_allowed():
    with PictureServer(serve_bytes(b"x" * MAX_BYTES)) as server:
        assert len(fetch(server.url)) == MAX_BYTES


def drip(client: socket.socket, path: str) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        client.sendall(b"x")
        time.sleep(0.05)


def drip_head(client: socket.socket, path: str) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        client.sendall(f"X-{number}: x\r\n".encode())
        time.sleep(0.05)


def silent(client: socket.socket, path: str) -> None:
    wait_for_leaving(client)


@pytest.mark.parametrize("respond", [drip, drip_head, silent])
def test_the_whole_time_is_bounded(respond):
    with PictureServer(respond) as server:
        start = time.monotonic()
        with pytest.raises(UrlUnreachable):
            fetch(server.url, total_seconds=0.4)
        assert time.monotonic() - start < 20
        assert server.left.wait(5)


def test_the_time_of_all_redirects_together_is_bounded():
    def respond(client: socket.socket, path: str) -> None:
        time.sleep(0.3)
        client.sendall(answer(b"", "302 Found", Location="/"))

    with PictureServer(respond) as server, pytest.raises(UrlUnreachable):
        fetch(server.url, total_seconds=0.4)

    assert len(server.requests) == 2


def test_the_time_to_connect_is_bounded():
    # Nobody accepts, and what may wait for that is full: a further connection gets no answer.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(address)
        try:
            start = time.monotonic()
            with pytest.raises(UrlUnreachable):
                fetch(f"http://127.0.0.1:{address[1]}/", connect_seconds=0.3)
            assert 0.2 < time.monotonic() - start < 20
        finally:
            for each in waiting:
                each.close()


def test_a_look_up_that_takes_its_time_is_left_behind_and_the_next_ones_are_bounded():
    release = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        release.wait(10)
        return ["127.0.0.1"]

    async def ask() -> None:
        slow = fetcher(resolve=resolve, total_seconds=0.2, max_fetches=2)
        for _ in range(2):
            with pytest.raises(UrlUnreachable):
                await slow.fetch(f"{server.url.replace('127.0.0.1', 'slow.example')}/", "somebody")
        # Both threads still wait.
        for caller, error in {"somebody": RateLimited, "another": Overloaded}.items():
            with pytest.raises(error):
                await slow.fetch(f"{server.url.replace('127.0.0.1', 'slow.example')}/", caller)
        release.set()
        await asyncio.sleep(0.2)
        assert await slow.fetch(server.url.replace("127.0.0.1", "slow.example"), "somebody")

    with PictureServer(serve_bytes(BODY)) as server:
        asyncio.run(ask())


def gzipped(client: socket.socket, path: str) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    client.sendall(answer(bomb, Content_Encoding="gzip"))


@pytest.mark.parametrize(
    "respond",
    [
        gzipped,
        lambda client, path: client.sendall(answer(BODY, Content_Encoding="br, identity")),
        lambda client, path: client.sendall(answer(BODY, Transfer_Encoding="gzip, chunked")),
        lambda client, path: client.sendall(answer(BODY, "404 Not Found")),
        lambda client, path: client.sendall(answer(BODY, "206 Partial Content")),
        lambda client, path: client.sendall(answer(b"", "302 Found")),
        lambda client, path: client.sendall(answer(BODY, "500 Oh")),
        lambda client, path: client.sendall(answer(BODY)[:-1]),
        lambda client, path: client.sendall(answer(BODY, Content_Length="-1")),
        lambda client, path: client.sendall(b"220 mail.example ESMTP\r\n" * 9),
        lambda client, path: client.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
        lambda client, path: client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
        lambda client, path: None,
    ],
    ids=lambda respond: str(respond.__code__.co_firstlineno),
)
def test_what_is_no_plain_answer_is_not_taken(respond):
    with PictureServer(respond) as server, pytest.raises(UrlUnreachable):
        fetch(server.url)


def test_a_port_that_nobody_listens_on_is_no_different():
    with PictureServer(serve_bytes(BODY)) as server:
        pass
    with pytest.raises(UrlUnreachable) as refused:
        fetch(server.url)
    with pytest.raises(UrlUnreachable) as private:
        fetch("http://10.0.0.1/")
    with pytest.raises(UrlUnreachable) as unknown:
        fetch("http://nobody.invalid/")

    assert refused.value.detail == private.value.detail == unknown.value.detail


def test_a_port_that_is_not_listed_is_not_asked():
    with PictureServer(serve_bytes(BODY)) as server, pytest.raises(InvalidParameter, match="port"):
        fetch(server.url, ports={80, 443})

    assert server.connections == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_no_proxy_of_the_environment_is_asked(monkeypatch, variable, inside):
    monkeypatch.setenv(variable, f"http://127.0.0.2:{inside.port}")
    with PictureServer(serve_bytes(BODY)) as server:
        assert fetch(server.url) == BODY

    assert inside.connections == 0


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, list[str | None]]:
    """What a server of these names speaks, and the names that it was called by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    called: list[str | None] = []
    context.sni_callback = lambda connection, name, _: called.append(name)
    return context, called


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_asks_for_the_name_and_believes_its_certificate(authority):
    context, called = tls_server(authority, "xn--bcher-kva.example")
    with PictureServer(serve_bytes(BODY), tls=context) as server:
        found = fetch(
            f"https://Bücher.example.:{server.port}/",
            resolve=Resolver(["127.0.0.1"]),
            tls=trusting(authority),
        )

    assert found == BODY
    assert called == ["xn--bcher-kva.example"]


def test_tls_with_an_address_believes_a_certificate_of_that_address(authority):
    context, called = tls_server(authority, "127.0.0.1")
    with PictureServer(serve_bytes(BODY), tls=context) as server:
        assert fetch(server.url, tls=trusting(authority)) == BODY

    assert called == [None]


@pytest.mark.parametrize("names", [["other.example"], ["127.0.0.1"], ["*.org"]])
def test_tls_with_another_name_is_refused(authority, names):
    context, _ = tls_server(authority, *names)
    with PictureServer(serve_bytes(BODY), tls=context) as server, pytest.raises(UrlUnreachable):
        fetch(
            f"https://example.org:{server.port}/",
            resolve=Resolver(["127.0.0.1"]),
            tls=trusting(authority),
        )

    assert server.requests == []


def test_tls_of_an_unknown_authority_is_refused(authority):
    context, _ = tls_server(authority, "127.0.0.1")
    with PictureServer(serve_bytes(BODY), tls=context) as server, pytest.raises(UrlUnreachable):
        fetch(server.url)

    assert server.requests == []


def test_tls_that_never_begins_is_broken_off():
    with PictureServer(silent) as server:
        start = time.monotonic()
        with pytest.raises(UrlUnreachable):
            fetch(server.url.replace("http", "https"), connect_seconds=5, total_seconds=0.3)
        assert time.monotonic() - start < 20


# Bounds of all together


def test_no_more_than_so_many_are_fetched_at_a_time():
    release = threading.Event()

    def respond(client: socket.socket, path: str) -> None:
        release.wait(10)
        client.sendall(answer(BODY))

    async def ask() -> None:
        single = fetcher(max_fetches=1)
        first = asyncio.create_task(single.fetch(server.url, "somebody"))
        await asyncio.to_thread(wait_until, lambda: server.connections == 1, 5)
        with pytest.raises(Overloaded):
            await single.fetch(server.url, "somebody")
        release.set()
        assert (await first).image_bytes == BODY
        assert (await single.fetch(server.url, "somebody")).image_bytes == BODY

    with PictureServer(respond) as server:
        asyncio.run(ask())

    assert server.connections == 2


def test_whoever_counts_the_bytes_may_stop_them():
    counted: list[int] = []

    def hold(number: int) -> None:
        if counted:
            raise Overloaded
        counted.append(number)

    with PictureServer(serve_bytes(b"x" * MAX_BYTES)) as server, pytest.raises(Overloaded):
        asyncio.run(fetcher().fetch(server.url, "somebody", hold))

    assert 0 < counted[0] < MAX_BYTES
