"""A small HTTP load generator: raw keep-alive sockets, so that the client costs little."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from httpx import URL


@dataclass(frozen=True)
class Load:
    """What a run of requests took.

    Attributes:
        seconds: Latency of each request.
        elapsed_seconds: Wall time of the whole run.
    """

    seconds: tuple[float, ...]
    elapsed_seconds: float

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.seconds) / self.elapsed_seconds

    def percentile_ms(self, percent: float) -> float:
        """Latency that this share of the requests did not exceed, milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


def send_all(url: str, bodies: Sequence[bytes], clients: int = 1) -> Load:
    """POST every body once, from so many clients at the same time.

    Raises:
        RuntimeError: An answer was not 200.
    """
    address = URL(url)
    requests = [_request(address, body) for body in bodies]
    shares = [requests[number::clients] for number in range(clients)]
    latencies: list[list[float]] = [[] for _ in shares]
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            with socket.create_connection((address.host, address.port or 80)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for request in shares[number]:
                    start = time.perf_counter()
                    connection.sendall(request)
                    _require_ok(connection)
                    latencies[number].append(time.perf_counter() - start)
        except (OSError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    if failures:
        raise failures[0]
    return Load(tuple(second for share in latencies for second in share), elapsed)


def _request(address: URL, body: bytes) -> bytes:
    target = address.raw_path.decode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _require_ok(connection: socket.socket) -> None:
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")[1:]
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < lengths[0]:
        body += _more(connection)
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise RuntimeError(f"{head.splitlines()[0].decode()}: {body[:300].decode()}")


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise RuntimeError("The server hung up.")
    return received
