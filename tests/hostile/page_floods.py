"""Floods of the page's WebSocket, from another address than an honest caller's, and what he feels.

``python -m tests.hostile.page_floods --seconds 30`` starts a server with its defaults, sends each
flood from 127.0.0.2 while an honest caller on 127.0.0.1 sends one new picture a second, and prints
a row for each. ``--url`` and ``--pid`` name a server that runs already.
"""

import argparse
import asyncio
import base64
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.pictures import small_bitmap
from tests.running import start_server

STRANGER = "127.0.0.2"
_ALLOWED_HEALTH_SECONDS = 0.5
_ALLOWED_ANSWER_SECONDS = 2.0
_PATIENCE_SECONDS = 40.0


def rerun_message() -> bytes:
    """What the page's own client sends to have the page drawn."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    serialized: bytes = message.SerializeToString()
    return serialized


def frame(payload: bytes) -> bytes:
    """A binary WebSocket message of a client; its mask changes nothing."""
    size = len(payload)
    head = bytes([0x82, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x82, 0xFE, size)
    return head + b"\0\0\0\0" + payload


RERUN = frame(rerun_message())
EMPTY = frame(b"")


def handshake(host: str, port: int) -> bytes:
    """How Streamlit's own client asks for the page's WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nOrigin: http://{host}:{port}\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: streamlit, PLACEHOLDER_AUTH_TOKEN"
        "\r\n\r\n"
    ).encode()


def ask_for_page(connection: socket.socket) -> int:
    """Shake hands on an open connection; the status."""
    connection.sendall(handshake(*connection.getpeername()[:2]))
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    return int(head[9:12])


class Stranger:
    """One connection of a flood; it reads only to keep the line free, or not at all."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received_bytes = 0
        self.status = 0

    @classmethod
    async def connect(cls, host: str, port: int) -> "Stranger":
        return cls(*await asyncio.open_connection(host, port, local_addr=(STRANGER, 0)))

    async def shake_hands(self, host: str, port: int) -> int:
        """Ask for the page's WebSocket as Streamlit's own client does; the status."""
        self.writer.write(handshake(host, port))
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.status = int(head[9:12])
        return self.status

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def swallow(self) -> None:
        """Read away whatever comes until the server hangs up."""
        while data := await self.reader.read(2**16):
            self.received_bytes += len(data)

    def leave(self) -> None:
        self.writer.transport.abort()


@dataclass
class Address:
    host: str
    port: int


Flood = Callable[[Address, float], Awaitable[str]]


async def many_reruns(where: Address, seconds: float, messages: int = 10_000) -> str:
    """10,000 messages on 20 connections, spread over the time."""
    each = messages // 20
    sent = 0

    async def one() -> None:
        nonlocal sent
        stranger = await Stranger.connect(where.host, where.port)
        if await stranger.shake_hands(where.host, where.port) != 101:
            return
        swallowing = asyncio.create_task(stranger.swallow())
        start = time.monotonic()
        try:
            for number in range(each):
                await stranger.send(RERUN)
                sent += 1
                await asyncio.sleep(max(0.0, start + number * seconds / each - time.monotonic()))
        finally:
            swallowing.cancel()
            stranger.leave()

    await _at_most(seconds, [one() for _ in range(20)])
    return f"{sent} messages"


async def many_views(where: Address, seconds: float, views: int = 1_000) -> str:
    """1,000 page views at once: a handshake and the first message; then they stay."""
    statuses: dict[int, int] = {}

    async def one() -> None:
        stranger = await Stranger.connect(where.host, where.port)
        try:
            status = await stranger.shake_hands(where.host, where.port)
            statuses[status] = statuses.get(status, 0) + 1
            if status == 101:
                await stranger.send(RERUN)
                await stranger.swallow()
        finally:
            stranger.leave()

    await _at_most(seconds, [one() for _ in range(views)])
    return " ".join(f"{number} x {status}" for status, number in sorted(statuses.items()))


async def as_fast_as_possible(where: Address, seconds: float) -> str:
    """Messages without a pause, on 20 connections."""
    return await _without_pause(where, seconds, RERUN * 100, 100, swallow=True)


async def empty_messages(where: Address, seconds: float) -> str:
    """Messages that ask for nothing, without a pause, on 20 connections."""
    return await _without_pause(where, seconds, EMPTY * 1000, 1000, swallow=True)


async def unread_answers(where: Address, seconds: float) -> str:
    """Reruns on 100 connections that never read what is drawn for them."""
    return await _without_pause(where, seconds, RERUN, 1, swallow=False, connections=100, rest=0.1)


async def revolving_door(where: Address, seconds: float) -> str:
    """Page views that leave at once and come again, 20 at a time."""
    views = 0
    end = time.monotonic() + seconds

    async def one() -> None:
        nonlocal views
        while time.monotonic() < end:
            stranger = await Stranger.connect(where.host, where.port)
            try:
                if await stranger.shake_hands(where.host, where.port) == 101:
                    await stranger.send(RERUN)
                views += 1
            finally:
                stranger.leave()

    await _at_most(seconds, [one() for _ in range(20)])
    return f"{views} views"


async def page_files(where: Address, seconds: float) -> str:
    """GETs of the page itself, 20 at a time."""
    answers = 0

    async def one() -> None:
        nonlocal answers
        stranger = await Stranger.connect(where.host, where.port)
        swallowing = asyncio.create_task(stranger.swallow())
        request = f"GET / HTTP/1.1\r\nHost: {where.host}:{where.port}\r\n\r\n".encode()
        try:
            while True:
                before = stranger.received_bytes
                await stranger.send(request)
                while stranger.received_bytes == before:
                    await asyncio.sleep(0.001)
                answers += 1
        finally:
            swallowing.cancel()
            stranger.leave()

    await _at_most(seconds, [one() for _ in range(20)])
    return f"{answers} answers"


async def _without_pause(
    where: Address,
    seconds: float,
    data: bytes,
    messages: int,
    *,
    swallow: bool,
    connections: int = 20,
    rest: float = 0.0,
) -> str:
    sent = 0
    end = time.monotonic() + seconds

    async def one() -> None:
        nonlocal sent
        while time.monotonic() < end:
            stranger = await Stranger.connect(where.host, where.port)
            swallowing = None
            try:
                if await stranger.shake_hands(where.host, where.port) != 101:
                    await asyncio.sleep(0.5)
                    continue
                swallowing = asyncio.create_task(stranger.swallow()) if swallow else None
                while True:
                    await stranger.send(data)
                    sent += messages
                    await asyncio.sleep(rest)
            except OSError:
                await asyncio.sleep(0.1)  # hung up on: once more
            finally:
                if swallowing is not None:
                    swallowing.cancel()
                stranger.leave()

    await _at_most(seconds, [one() for _ in range(connections)])
    return f"{sent} messages"


async def _at_most(seconds: float, work: list[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(each) for each in work]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


FLOODS: dict[str, Flood] = {
    "reruns": many_reruns,
    "views": many_views,
    "fast": as_fast_as_possible,
    "empty": empty_messages,
    "unread": unread_answers,
    "door": revolving_door,
    "files": page_files,
}


@dataclass
class Felt:
    """What an honest caller felt.

    Attributes:
        health_seconds: Of each probe of ``/healthz``; a time-out counts as its whole length.
        answer_seconds: Of each new picture.
        failed: Pictures without an answer.
        calm_seconds: From the end of the flood until a probe was as quick as before it.
        more_bytes: Memory above that before the flood, at its worst.
    """

    health_seconds: list[float]
    answer_seconds: list[float]
    failed: int
    calm_seconds: float
    more_bytes: int
    done: str


async def ask(where: Address, request: bytes) -> tuple[int, float]:
    """Status (0 for none) and duration of one request on a connection of its own."""
    start = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(where.host, where.port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            return int(head[9:12]), time.monotonic() - start
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return 0, time.monotonic() - start
    finally:
        if writer is not None:
            writer.transport.abort()


def health_request(where: Address) -> bytes:
    return f"GET /healthz HTTP/1.1\r\nHost: {where.host}:{where.port}\r\n\r\n".encode()


def picture_request(where: Address, picture: bytes) -> bytes:
    return (
        f"POST /api/v1/classify HTTP/1.1\r\nHost: {where.host}:{where.port}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(picture)}\r\n\r\n"
    ).encode() + picture


def resident_bytes(pid: int) -> int:
    """Physical memory of a process and those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return own + sum(resident_bytes(int(child)) for child in children)


async def endure(
    flood: Flood,
    where: Address,
    api: Address,
    pids: list[int],
    seconds: float,
    numbers: Iterator[int],
) -> Felt:
    """Send a flood for so long, and tell what an honest caller felt meanwhile."""
    felt = Felt([], [], 0, 0.0, 0, "")
    is_over = asyncio.Event()
    normal = [await ask(api, health_request(api)) for _ in range(20)]
    usual = sorted(seconds for _, seconds in normal)[10]
    before = sum(map(resident_bytes, pids))

    async def probe() -> None:
        while not is_over.is_set():
            status, took = await ask(api, health_request(api))
            felt.health_seconds.append(took if status == 200 else _PATIENCE_SECONDS)
            felt.more_bytes = max(felt.more_bytes, sum(map(resident_bytes, pids)) - before)
            await asyncio.sleep(0.1)

    async def send_pictures() -> None:
        while not is_over.is_set():
            status, took = await ask(api, picture_request(api, small_bitmap(next(numbers))))
            felt.answer_seconds.append(took)
            felt.failed += status != 200
            await asyncio.sleep(max(0.0, 1 - took))

    watchers = [asyncio.create_task(probe()), asyncio.create_task(send_pictures())]
    felt.done = await flood(where, seconds)
    over_at = time.monotonic()
    is_over.set()
    quick = 0
    while quick < 5 and time.monotonic() < over_at + 2 * _PATIENCE_SECONDS:
        status, took = await ask(api, health_request(api))
        quick = quick + 1 if status == 200 and took < 5 * usual + 0.01 else 0
    felt.calm_seconds = time.monotonic() - over_at
    await asyncio.gather(*watchers)
    return felt


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


HEADING = (
    f"{'flood':<9}{'health p50':>11}{'p99':>8}{'max':>8}{'picture p50':>13}{'p99':>8}{'failed':>8}"
    f"{'calm s':>8}{'+MB':>6}  sent"
)


def row(name: str, felt: Felt) -> str:
    health, answers = sorted(felt.health_seconds), sorted(felt.answer_seconds)
    return (
        f"{name:<9}{health[len(health) // 2]:>11.3f}{p99(health):>8.3f}{health[-1]:>8.3f}"
        f"{answers[len(answers) // 2]:>13.3f}{p99(answers):>8.3f}"
        f"{f'{felt.failed}/{len(answers)}':>8}{felt.calm_seconds:>8.2f}"
        f"{felt.more_bytes / 1e6:>6.0f}  {felt.done}"
    )


@contextmanager
def _server() -> Iterator[tuple[str, int]]:
    with (
        tempfile.TemporaryDirectory() as home,
        start_server(Path(home), model="efficientnet-lite2") as server,
    ):
        yield server.url, server.process.pid


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("floods", nargs="*", default=list(FLOODS))
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--url", help="page of a running server")
    parser.add_argument("--api", help="its API, where that is elsewhere")
    parser.add_argument("--pid", type=int, action="append")
    options = parser.parse_args()
    numbers = count(int(time.time()) % 100_000 * 100)

    def one(name: str, url: str, api: str, pids: list[int]) -> None:
        page, there = (urlsplit(each) for each in (url, api))
        felt = asyncio.run(
            endure(
                FLOODS[name],
                Address(str(page.hostname), page.port or 80),
                Address(str(there.hostname), there.port or 80),
                pids,
                options.seconds,
                numbers,
            )
        )
        _show(row(name, felt))

    _show(HEADING)
    for name in options.floods:
        if options.url:
            one(name, options.url, options.api or options.url, options.pid)
        else:
            with _server() as (url, pid):
                one(name, url, url, [pid])


if __name__ == "__main__":
    main()
