"""A small HTTP server that gives prepared answers, for what a real one can't be brought to do."""

import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Self

RESET = "reset"
SILENCE = "silence"


@dataclass(frozen=True)
class Prepared:
    """One answer, sent after a delay."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


class ScriptedServer:
    """Gives one answer of its script to each request; the last one again and again.

    Attributes:
        asked_at: When each request was there, by the monotonic clock.
        heads: The request line and the headers of each request.
        connections: How many were made.
    """

    def __init__(self, *script: Prepared | str) -> None:
        self._script: Sequence[Prepared | str] = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked_at: list[float] = []
        self.heads: list[str] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while head := _read_request(lines):
                with self._lock:
                    answer = self._script[min(len(self.heads), len(self._script) - 1)]
                    self.heads.append(head)
                    self.asked_at.append(time.monotonic())
                if answer == SILENCE:
                    self._ended.wait(30)
                    return
                if not isinstance(answer, Prepared):
                    # Without lingering, closing sends a reset.
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    lines.close()
                    return
                self._ended.wait(answer.delay_seconds)
                try:
                    connection.sendall(_render(answer))
                except OSError:
                    return


def _read_request(lines: BinaryIO) -> str:
    try:
        head = b""
        while (line := lines.readline()) not in (b"\r\n", b""):
            head += line
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        lines.read(length)
    except OSError:
        return ""
    return head.decode("latin-1")


def _render(answer: Prepared) -> bytes:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} Prepared", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + answer.body
