"""What a stranger sends who wants to stop a server: six floods, each from one loopback address.

``python -m tests.hostile.floods NAME URL SECONDS`` runs one of them in a process of its own, so
that it takes nothing from the honest caller beside it, and goes on for as long as it is told: a
connection that is closed is replaced, a refusal is followed by the next attempt. What it sends is
prepared beforehand. Nothing is sent to any other address than the one that the caller names.
"""

import asyncio
import json
import os
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop
from streamlit.proto.BackMsg_pb2 import BackMsg

STRANGERS = "127.0.0."
"""Where the floods come from, each from an address of its own, from .2 on. Linux has the whole of
127/8 without being asked."""

_PAUSE_SECONDS = 0.05
"""Between an attempt that failed and the next one of the same connection."""
_UPLOAD_BYTES = 20_000_000
"""The default bound of an upload."""


@dataclass(frozen=True)
class Target:
    """The server under attack.

    Attributes:
        host: Its address.
        port: Its port.
        stranger: Address that the attack comes from.
        seen: What the attackers were told, counted.
    """

    host: str
    port: int
    stranger: str
    seen: Counter[str]

    @property
    def place(self) -> str:
        """Host and port, as in an address."""
        return f"{self.host}:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from the stranger's address."""
        return await asyncio.open_connection(self.host, self.port, local_addr=(self.stranger, 0))

    def head(self, line: str, *headers: str) -> bytes:
        """The head of a request."""
        return head(self.place, line, *headers)


def head(host: str, line: str, *headers: str) -> bytes:
    """The head of a request to a host, port included."""
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def handshake(host: str, *, origin: str | None = None, packed: bool = False) -> bytes:
    """The head that opens the page's WebSocket."""
    packing = ["Sec-WebSocket-Extensions: permessage-deflate"] if packed else []
    return head(
        host,
        "GET /_stcore/stream",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: streamlit, PLACEHOLDER_AUTH_TOKEN",
        f"Origin: {origin or f'http://{host}'}",
        *packing,
    )


Attempt = Callable[[Target, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(payload: bytes, *, packed: bool = False) -> bytes:
    """One WebSocket message of a client, masked with zeros."""
    size = len(payload)
    length = (
        bytes([0x80 | size])
        if size < 126
        else b"\xfe" + size.to_bytes(2)
        if size < 65_536
        else b"\xff" + size.to_bytes(8)
    )
    return bytes([0xC2 if packed else 0x82]) + length + bytes(4) + payload


def rerun_message() -> bytes:
    """What the page's part in the browser sends to have the page drawn again."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    return frame(message.SerializeToString())


def packed_message() -> bytes:
    """16 MB of one letter in 15 kB."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(b"a" * 15_900_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    return frame(packed[:-4], packed=True)


_PACKED = packed_message()
RERUN = rerun_message()
_HEADER_LINES = b"X-Filler: %b\r\n" % (b"a" * 65_000) * 4
_BODY = b"a" * 100_000


async def _pack(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _open_socket(target, reader, writer, packed=True)
    while True:
        writer.write(_PACKED)
        await writer.drain()


async def _rerun(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _open_socket(target, reader, writer)
    reading = asyncio.create_task(_read_all(reader))
    try:
        while not reading.done():
            writer.write(RERUN * 10)
            await writer.drain()
            await asyncio.sleep(0.3)
    finally:
        reading.cancel()


async def _rerun_without_pause(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _send_without_pause(target, reader, writer, RERUN * 100)


async def _ask_nothing_without_pause(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _send_without_pause(target, reader, writer, frame(b"") * 1_000)


async def _rerun_and_never_read(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _open_socket(target, reader, writer)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not writer.is_closing():
        writer.write(RERUN)
        await writer.drain()
        await asyncio.sleep(0.1)


async def _view_and_leave(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _open_socket(target, reader, writer)
    writer.write(RERUN)


async def _view(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _open_socket(target, reader, writer)
    writer.write(RERUN)
    await _read_all(reader)


async def _endless_head(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(target.head("GET /healthz")[:-2])
    while True:
        writer.write(_HEADER_LINES)
        await writer.drain()


async def _endless_line(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"GET /healthz?")
    while True:
        writer.write(_BODY)
        await writer.drain()


async def _endless_trailer(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(target.head("POST /api/v1/classify", "Transfer-Encoding: chunked"))
    writer.write(b"1\r\na\r\n0\r\n")
    while True:
        writer.write(_HEADER_LINES)
        await writer.drain()


async def _almost_whole_body(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(target.head("POST /api/v1/classify", f"Content-Length: {_UPLOAD_BYTES}"))
    for _ in range(_UPLOAD_BYTES // len(_BODY) - 1):
        writer.write(_BODY)
        await writer.drain()
    writer.write(_BODY[:-100])
    await _read_all(reader)


async def _foreign_origin(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(handshake(target.place, origin=f"https://elsewhere.example/{'a' * 1000}"))
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(_PAUSE_SECONDS)


async def _silent(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _read_all(reader)


async def _half_a_head(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(target.head("GET /healthz")[:-2])
    await _read_all(reader)


async def _open_socket(
    target: Target,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    packed: bool = False,
) -> None:
    writer.write(handshake(target.place, packed=packed))
    status = (await reader.readuntil(b"\r\n\r\n"))[9:12].decode()
    target.seen[f"handshake {status}"] += 1
    if status != "101":
        raise ConnectionError


async def _send_without_pause(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
) -> None:
    await _open_socket(target, reader, writer)
    reading = asyncio.create_task(_read_all(reader))
    try:
        while not reading.done():
            writer.write(data)
            await writer.drain()
    finally:
        reading.cancel()


async def _read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


FLOODS: dict[str, list[tuple[Attempt, int]]] = {
    "packed messages": [(_pack, 20)],
    "reruns": [(_rerun, 20)],
    "hurried messages": [(_rerun_without_pause, 20), (_ask_nothing_without_pause, 20)],
    "page views": [(_view, 1_000)],
    "restless visitors": [(_rerun_and_never_read, 100), (_view_and_leave, 20)],
    "endless heads": [(_endless_head, 2), (_endless_line, 1), (_endless_trailer, 1)],
    "unfinished bodies": [(_almost_whole_body, 10)],
    "foreign origins": [(_foreign_origin, 30)],
    "silence": [(_silent, 600), (_half_a_head, 500)],
}
"""What is sent, on how many connections at once."""


async def flood(name: str, url: str, seconds: float) -> Counter[str]:
    """Run a flood to its end; what the attackers saw, counted."""
    parts = urlsplit(url)
    stranger = f"{STRANGERS}{2 + list(FLOODS).index(name)}"
    target = Target(parts.hostname or "", parts.port or 80, stranger, Counter())
    callers = [
        asyncio.create_task(_call_again(target, attempt))
        for attempt, connections in FLOODS[name]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    return target.seen


async def _call_again(target: Target, attempt: Attempt) -> None:
    while True:
        try:
            reader, writer = await target.connect()
        except OSError:
            target.seen["not connected"] += 1
            await asyncio.sleep(1)
            continue
        target.seen["connected"] += 1
        try:
            await attempt(target, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            target.seen["closed"] += 1
        finally:
            writer.transport.abort()
        await asyncio.sleep(_PAUSE_SECONDS)


@contextmanager
def flooding(name: str, url: str, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """A flood in a process of its own, from now until it ends or the block does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.floods", name, url, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def main() -> None:
    """Run the flood that the command line names and print what it saw."""
    import resource

    wanted, hard = 4_096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    with suppress(OSError):
        os.nice(5)  # a stranger's machine is another one; here it takes the server's cores
    name, url, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(flood(name, url, float(seconds)))))


if __name__ == "__main__":
    main()
