"""Web servers of a test's own, that answer well, badly, slowly or without an end."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Respond = Callable[[socket.socket, str], None]
"""Answers one connection; it is told the path that was asked for."""


class PictureServer:
    """Answers every connection in a thread of its own, by what `respond` does.

    Args:
        respond: Writes the answer; the connection is closed after it.
        host: Address to listen on.
        tls: Spoken where given.
    """

    def __init__(
        self, respond: Respond, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.respond = respond
        self._tls = tls
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'http' if tls is None else 'https'}://{host}:{self.port}"
        self.requests: list[bytes] = []
        self.connections = 0
        self.sent_bytes = 0
        self.left = threading.Event()
        """Whether a client closed its connection before it was answered."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def send(self, client: socket.socket, piece: bytes) -> None:
        """Send a piece of an answer and count it."""
        client.sendall(piece)
        self.sent_bytes += len(piece)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(10)
        with client, suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            self.requests.append(head)
            try:
                self.respond(client, head.split(b" ", 2)[1].decode())
            except (BrokenPipeError, ConnectionResetError):
                self.left.set()
            client.close()


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; underscores in the names of headers stand for hyphens."""
    named = {"Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def serve_bytes(body: bytes) -> Respond:
    """Answers every path with the same body."""
    return lambda client, path: client.sendall(answer(body))


def wait_for_leaving(client: socket.socket) -> None:
    """Answer nothing until the client goes away."""
    while client.recv(1024):
        pass
    raise BrokenPipeError
