"""Fetching a picture from its address, without being led into the network around the server.

The host is looked up once, everything it stands for must be public, and the connection goes to an
address that was looked at: what a name stands for a moment later does not matter. The same holds
for each redirect. See docs/run/security.md.
"""

import asyncio
import hashlib
import ipaddress
import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from urllib.parse import urljoin

import httpcore
import httpx

from whatsit import __version__
from whatsit.access.networks import Network
from whatsit.errors import (
    ImageTooLarge,
    InvalidParameter,
    Overloaded,
    RateLimited,
    UrlUnreachable,
)
from whatsit.picture import Picture
from whatsit.settings import Settings
from whatsit.web.api.fetching.addresses import Address, PictureUrl, is_fetchable, parse_picture_url

Resolve = Callable[[str, int], Sequence[str]]
"""The IP addresses of a host; may take its time, and raises OSError where there are none."""

MAX_FETCHES = 8
"""Pictures fetched at the same time; each may take as long as `TOTAL_SECONDS`."""
MAX_CALLER_FETCHES = 2
"""Of them for one caller; eight that drip would else keep everybody else waiting."""
MAX_REDIRECTS = 3
TOTAL_SECONDS = 10.0
CONNECT_SECONDS = 3.0

_MAX_ADDRESSES = 4
"""Of one host are tried; they share the time to connect."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OURS = (
    (b"User-Agent", f"whatsit/{__version__}".encode()),
    (b"Accept", b"image/*"),
    # A body that is never unpacked can't be a bomb; pictures are packed already.
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
)
_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)

_log = logging.getLogger(__name__)


class _Refused(OSError):
    """An address leads to something that is not fetched; the message is for the operator alone."""


def resolve_host(host: str, port: int) -> list[str]:
    """The IP addresses that a host name stands for, as this machine knows them.

    Raises:
        OSError: There are none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("the name can't be looked up") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches pictures, a few at a time, each within bounds of time and size.

    Used in one event loop only. Keeps nothing between two pictures: no connection, no cookie.

    Args:
        max_bytes: Of one picture.
        ports: Which ports an address may name.
        allowed: Networks that may be asked although they are not public.
        resolve: Looks host names up, in a thread of its own.
        tls: Decides which certificates are trusted; None for the usual ones.
        max_fetches: How many pictures at the same time.
        max_caller_fetches: How many of them for one caller.
        total_seconds: For one picture, from the look-up to the last byte, redirects included.
        connect_seconds: For each connection.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        ports: Collection[int] = frozenset({80, 443}),
        allowed: Collection[Network] = (),
        resolve: Resolve = resolve_host,
        tls: ssl.SSLContext | None = None,
        max_fetches: int = MAX_FETCHES,
        max_caller_fetches: int = MAX_CALLER_FETCHES,
        total_seconds: float = TOTAL_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._max_bytes = max_bytes
        self._ports = ports
        self._allowed = allowed
        self._resolve = resolve
        self._tls = tls or httpx.create_ssl_context()
        self._max_fetches = max_fetches
        self._max_caller_fetches = max_caller_fetches
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._fetches: Counter[str] = Counter()
        self._lookups: Counter[str] = Counter()

    async def fetch(
        self, url: str, caller: str, hold: Callable[[int], None] = lambda number: None
    ) -> Picture:
        """The bytes behind an address, which may not be a picture.

        Args:
            url: As the client wrote it.
            caller: The client.
            hold: Called with the number of bytes so far whenever some arrive; may refuse them.

        Raises:
            InvalidParameter: `url` is not written like the address of a picture.
            UrlUnreachable: Nothing was fetched. The reason is not given: it would reveal the
                network around the server to strangers.
            ImageTooLarge: There are more bytes than the limit; the rest was not read.
            RateLimited: Too many pictures are being fetched for this caller already.
            Overloaded: Too many pictures are being fetched for all callers together.
        """
        address = parse_picture_url(url, self._ports)
        try:
            with self._counted(self._fetches, caller):
                async with asyncio.timeout(self._total_seconds):
                    return await self._follow(address, caller, hold)
        except _FAILURES as error:
            # Other messages name addresses, which no log does.
            why = error if isinstance(error, _Refused) else type(error).__name__
            _log.debug("fetch: %s", why)
            raise UrlUnreachable from error

    @contextmanager
    def _counted(self, running: "Counter[str]", caller: str) -> Iterator[None]:
        self._begin(running, caller)
        try:
            yield
        finally:
            _end(running, caller)

    def _begin(self, running: "Counter[str]", caller: str) -> None:
        if running[caller] >= self._max_caller_fetches:
            limit = f"{self._max_caller_fetches} pictures by address at the same time"
            raise RateLimited(limit, 1.0)
        if running.total() >= self._max_fetches:
            raise Overloaded
        running[caller] += 1

    async def _follow(
        self, address: PictureUrl, caller: str, hold: Callable[[int], None]
    ) -> Picture:
        for _ in range(1 + MAX_REDIRECTS):
            found = await self._ask(address, caller, hold)
            if isinstance(found, Picture):
                return found
            address = found
        raise _Refused("too many redirects")

    async def _ask(
        self, address: PictureUrl, caller: str, hold: Callable[[int], None]
    ) -> Picture | PictureUrl:
        """The result of one request: a picture, or the address that it redirects to."""
        pinned = _Pinned(await self._addresses_of(address, caller), self._connect_seconds)
        origin = (address.scheme.encode(), address.host.encode(), address.port)
        seconds = self._total_seconds
        limits = {"connect": self._connect_seconds, "read": seconds, "write": seconds}
        async with (
            aclosing(pinned),
            httpcore.AsyncHTTPConnection(
                httpcore.Origin(*origin), ssl_context=self._tls, network_backend=pinned
            ) as connection,
            connection.stream(
                "GET",
                httpcore.URL(
                    scheme=origin[0],
                    host=origin[1],
                    port=address.port,
                    target=address.target.encode(),
                ),
                headers=[(b"Host", address.host_header.encode()), *_OURS],
                # The certificate must be the host's, whatever address the connection goes to.
                extensions={"timeout": limits, "sni_hostname": address.host},
            ) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return self._next_address(address, headers[b"location"])
            if response.status != 200:
                raise _Refused(f"status {response.status}")
            if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
                raise _Refused("compressed")
            return await self._read(response, headers.get(b"content-length"), hold)

    async def _read(
        self, response: httpcore.Response, declared: bytes | None, hold: Callable[[int], None]
    ) -> Picture:
        if declared is not None and int(declared) > self._max_bytes:
            raise ImageTooLarge(self._max_bytes)
        size, digest, chunks = 0, hashlib.sha256(), []
        async for chunk in response.aiter_stream():
            size += len(chunk)
            if size > self._max_bytes:
                raise ImageTooLarge(self._max_bytes)
            hold(len(chunk))
            digest.update(chunk)
            chunks.append(chunk)
        return Picture(b"".join(chunks), digest.hexdigest())

    def _next_address(self, address: PictureUrl, location: bytes) -> PictureUrl:
        try:
            target = urljoin(str(address), location.decode())
            return parse_picture_url(target, self._ports)
        except (ValueError, InvalidParameter) as error:
            raise _Refused("the redirect leads to no address of a picture") from error

    async def _addresses_of(self, address: PictureUrl, caller: str) -> list[Address]:
        literal = address.literal
        if literal is not None:
            found = [literal]
        else:
            names = await self._look_up(address.host, address.port, caller)
            try:
                found = [ipaddress.ip_address(name) for name in names]
            except ValueError as error:
                raise _Refused("the name stands for no IP address") from error
        if not found or not all(is_fetchable(each, self._allowed) for each in found):
            raise _Refused("not public")
        return found[:_MAX_ADDRESSES]

    async def _look_up(self, host: str, port: int, caller: str) -> Sequence[str]:
        # In a thread that does not delay the end of the process: a look-up can't be broken off,
        # and may outlive its fetch. That is why look-ups are counted apart.
        self._begin(self._lookups, caller)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(found: Sequence[str] | OSError) -> None:
            _end(self._lookups, caller)
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def work() -> None:
            found: Sequence[str] | OSError = _Refused("the look-up failed")
            try:
                found = self._resolve(host, port)
            except OSError as error:
                found = error
            finally:
                with suppress(RuntimeError):  # the loop has ended, and so has the server
                    loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=work, name="whatsit-resolve", daemon=True).start()
        return await answer


def _end(running: "Counter[str]", caller: str) -> None:
    running[caller] -= 1
    if not running[caller]:
        del running[caller]


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, whatever host it is asked for."""

    def __init__(self, addresses: Sequence[Address], seconds: float) -> None:
        self._addresses = addresses
        self._seconds = seconds
        self._network = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del host, timeout, local_address
        failure: Exception = _Refused("no address")
        for address in self._addresses:
            try:
                self._stream = await self._network.connect_tcp(
                    str(address),
                    port,
                    timeout=self._seconds / len(self._addresses),
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return self._stream
        raise failure

    async def aclose(self) -> None:
        """Close the connection; without it, one broken off while TLS begins would stay open."""
        if self._stream is not None:
            await self._stream.aclose()


def open_fetcher(settings: Settings) -> Fetcher | None:
    """The fetcher for these settings; None where pictures are not fetched."""
    if settings.fetch_urls == "off":
        return None
    allowed = settings.fetch_networks
    if allowed:
        _log.warning(
            "Pictures are fetched from %s too (WHATSIT_FETCH_ALLOW): anyone who may send an "
            "address can make this server send requests there.",
            ", ".join(map(str, allowed)),
        )
    return Fetcher(
        max_bytes=settings.max_upload_bytes, ports=settings.fetchable_ports, allowed=allowed
    )
