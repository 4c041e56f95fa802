"""An HTTP client that sends many requests at once and costs little.

It shares its cores with the server it puts under load, so requests are assembled beforehand,
connections are kept, and answers are parsed when somebody asks for them. Nothing is sent to
any other address than the one that the caller names, and every run has an end.
"""

import asyncio
import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop
from httpx import URL

_PATIENCE_SECONDS = 30.0
"""How long a run waits for answers after it has sent its last request."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, ready to be written.

    Attributes:
        address: Host and port.
        payload: Head and body.
        name: What the caller calls it; its outcome carries the name.
    """

    address: tuple[str, int]
    payload: bytes = field(repr=False)
    name: str


def post(url: str, body: bytes, name: str = "") -> Request:
    """A POST of a picture."""
    head = f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
    return _request("POST", url, head, body, name)


def get(url: str, name: str = "") -> Request:
    """A GET."""
    return _request("GET", url, "", b"", name)


@dataclass(slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        name: That of the request.
        sent_at: When writing it began, on the clock of `time.monotonic`.
        whole_at: When its last byte had been handed to the system; None if that never happened.
        seconds: Until its answer was complete, or until it failed.
        head: Of the answer, as far as it came.
        body: Of the answer, as far as it came.
        error: Why there is no complete answer; None if there is one.
    """

    name: str
    sent_at: float
    whole_at: float | None = None
    seconds: float = 0.0
    head: bytes = field(default=b"", repr=False)
    body: bytes = field(default=b"", repr=False)
    error: str | None = None

    @property
    def status(self) -> int | None:
        """Of the complete answer; None if there is none."""
        return None if self.error is not None else int(self.head[9:12])

    def header(self, name: str) -> str | None:
        """A header of the answer."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None

    @property
    def cache(self) -> str | None:
        """How the answer came about: hit, miss, coalesced or bypass."""
        return self.header("X-Cache")

    @property
    def document(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return cast("dict[str, Any]", json.loads(self.body))


@dataclass(frozen=True)
class Load:
    """What a run of requests took.

    Attributes:
        outcomes: One of each request that was begun, in order of completion.
        elapsed_seconds: Wall time, from the first request to the last answer.
        unsent: Requests that were due while every connection was busy, and so were never sent.
        client_seconds: Processor time that the client itself took.
    """

    outcomes: tuple[Outcome, ...]
    elapsed_seconds: float
    unsent: int
    client_seconds: float

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return len(self.outcomes) / self.elapsed_seconds

    def percentile_ms(self, percent: float) -> float:
        """Latency that this share of the requests did not exceed, milliseconds."""
        return percentile_ms(self.outcomes, percent)

    def require_ok(self) -> "Load":
        """This run, if every request was answered with 200.

        Raises:
            RuntimeError: One was not; the sentence has the first of them.
        """
        for outcome in self.outcomes:
            if outcome.status != 200:
                said = outcome.error or f"{outcome.status}: {outcome.body[:300]!r}"
                raise RuntimeError(f"The request {outcome.name!r} failed: {said}")
        return self


def percentile_ms(outcomes: Iterable[Outcome], percent: float) -> float:
    """Latency that this share of the outcomes did not exceed, milliseconds; nan of none."""
    ordered = sorted(outcome.seconds for outcome in outcomes)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


def closed_loop(
    requests: Iterable[Request], clients: int = 1, seconds: float = float("inf")
) -> Load:
    """Let each of so many clients send its next request as soon as it has its answer.

    A client whose connection fails opens another; one that is refused leaves.

    Args:
        requests: All to one address; shared out as clients become free.
        clients: How many keep-alive connections.
        seconds: Nothing is sent after that long, if requests last.
    """
    return _run(_ClosedLoop(iter(requests), clients, seconds).run())


def open_loop(
    requests: Iterable[Request], per_second: float, seconds: float, connections: int
) -> Load:
    """Send requests at an even rate, whether earlier ones were answered or not.

    Args:
        requests: All to one address.
        per_second: The rate.
        seconds: How long, if requests last.
        connections: Kept open; a request that is due while all are busy is left out and counted.
    """
    return _run(_OpenLoop(iter(requests), per_second, seconds, connections).run())


def burst(requests: Sequence[Request]) -> Load:
    """Send all requests at the same time, each on a connection that was open before."""
    return _run(_burst(requests))


def send_and_leave(request: Request, stay_seconds: float = 0.0) -> None:
    """Send a whole request and hang up without waiting for its answer."""
    with socket.create_connection(request.address) as connection:
        connection.sendall(request.payload)
        time.sleep(stay_seconds)


class _Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request in flight."""

    def __init__(self, done: Callable[["_Connection", Outcome], None]) -> None:
        self.is_open = False
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._outcome: Outcome | None = None
        self._received = b""
        self._length = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Told as soon as anything waits in the client, and again when nothing does.
        self._transport.set_write_buffer_limits(high=0)
        self.is_open = True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._fail(f"connection lost: {error!r}" if error else "connection closed")

    def send(self, request: Request) -> None:
        assert self._transport is not None
        self._received, self._length = b"", -1
        self._outcome = outcome = Outcome(request.name, time.monotonic())
        self._transport.write(request.payload)
        if not self._transport.get_write_buffer_size():
            outcome.whole_at = time.monotonic()

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        if self._outcome is not None:
            self._outcome.whole_at = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._received[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:
                self.abandon("an answer without a length")
                return
            length = head[at + 15 : head.find(b"\r", at) if b"\r" in head[at:] else end]
            self._length = end + 4 + int(length)
        if len(self._received) >= self._length and self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            self._finish(outcome)

    def abandon(self, error: str) -> None:
        """Hang up; a request in flight has failed."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
        self._fail(error)

    def _fail(self, error: str) -> None:
        if self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            outcome.error = error
            self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        outcome.seconds = time.monotonic() - outcome.sent_at
        outcome.head, _, outcome.body = self._received.partition(b"\r\n\r\n")
        if b"connection: close" in outcome.head.lower():
            self.is_open = False
        self._done(self, outcome)


async def _connect(
    address: tuple[str, int], done: Callable[[_Connection, Outcome], None]
) -> _Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: _Connection(done), *address)
    return connection


class _ClosedLoop:
    def __init__(self, requests: Iterator[Request], clients: int, seconds: float) -> None:
        self._requests = requests
        self._clients = clients
        self._seconds = seconds
        self._deadline = 0.0
        self._outcomes: list[Outcome] = []
        self._in_flight: set[_Connection] = set()
        self._connections: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._all_left = asyncio.Event()

    async def run(self) -> Load:
        first = next(self._requests)
        for _ in range(self._clients):
            self._connections.append(await _connect(first.address, self._done))
        start = time.monotonic()
        self._deadline = start + self._seconds
        self._launch(self._connections[0], first)
        for connection in self._connections[1:]:
            self._next(connection)
        if self._in_flight or self._opening:
            limit = None if self._seconds == float("inf") else self._seconds + _PATIENCE_SECONDS
            try:
                await asyncio.wait_for(self._all_left.wait(), limit)
            except TimeoutError:
                self._deadline = 0.0
        elapsed = time.monotonic() - start
        self._deadline = 0.0
        for connection in self._connections:
            connection.abandon("no answer in time")
        return Load(tuple(self._outcomes), elapsed, 0, 0.0)

    def _launch(self, connection: _Connection, request: Request) -> None:
        self._in_flight.add(connection)
        connection.send(request)

    def _next(self, connection: _Connection) -> None:
        if time.monotonic() < self._deadline:
            request = next(self._requests, None)
            if request is not None:
                if connection.is_open:
                    self._launch(connection, request)
                else:
                    task = asyncio.get_running_loop().create_task(self._reopen(request))
                    self._opening.add(task)
                    task.add_done_callback(self._opened)
                return
        self._leave_if_last()

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._leave_if_last()

    def _leave_if_last(self) -> None:
        if not self._in_flight and not self._opening:
            self._all_left.set()

    async def _reopen(self, request: Request) -> None:
        begun = time.monotonic()
        try:
            connection = await _connect(request.address, self._done)
        except OSError as error:
            self._outcomes.append(_refused(request, begun, error))
        else:
            self._connections.append(connection)
            self._launch(connection, request)

    def _done(self, connection: _Connection, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._in_flight.discard(connection)
        self._next(connection)


class _OpenLoop:
    def __init__(
        self, requests: Iterator[Request], per_second: float, seconds: float, connections: int
    ) -> None:
        self._requests = requests
        self._per_second = per_second
        self._seconds = seconds
        self._connections = connections
        self._outcomes: list[Outcome] = []
        self._free: deque[_Connection] = deque()
        self._in_flight: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> Load:
        first = next(self._requests)
        for _ in range(self._connections):
            self._free.append(await _connect(first.address, self._done))
        start = time.monotonic()
        due = sent = unsent = 0
        waiting: Request | None = first
        is_over = False
        while not is_over and (now := time.monotonic()) < start + self._seconds:
            while due < (now - start) * self._per_second:
                due += 1
                request = waiting or next(self._requests, None)
                waiting = None
                if request is None:
                    is_over = True
                    break
                if not self._send(request):
                    waiting, unsent = request, unsent + 1
                else:
                    sent += 1
            await asyncio.sleep(0.001)
        patience = time.monotonic() + _PATIENCE_SECONDS
        while (self._in_flight or self._opening) and time.monotonic() < patience:
            await asyncio.sleep(0.001)
        elapsed = time.monotonic() - start
        for connection in [*self._in_flight, *self._free]:
            connection.abandon("no answer in time")
        return Load(tuple(self._outcomes), elapsed, unsent, 0.0)

    def _send(self, request: Request) -> bool:
        while self._free:
            connection = self._free.popleft()
            if connection.is_open:
                self._in_flight.add(connection)
                connection.send(request)
                return True
        if len(self._in_flight) + len(self._opening) >= self._connections:
            return False
        task = asyncio.get_running_loop().create_task(self._open(request))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    async def _open(self, request: Request) -> None:
        begun = time.monotonic()
        try:
            connection = await _connect(request.address, self._done)
        except OSError as error:
            self._outcomes.append(_refused(request, begun, error))
        else:
            self._in_flight.add(connection)
            connection.send(request)

    def _done(self, connection: _Connection, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._in_flight.discard(connection)
        if connection.is_open:
            self._free.append(connection)


async def _burst(requests: Sequence[Request]) -> Load:
    outcomes: list[Outcome] = []
    complete = asyncio.Event()

    def done(connection: _Connection, outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(requests):
            complete.set()

    connections = [await _connect(request.address, done) for request in requests]
    start = time.monotonic()
    for connection, request in zip(connections, requests, strict=True):
        connection.send(request)
    with suppress(TimeoutError):
        await asyncio.wait_for(complete.wait(), _PATIENCE_SECONDS)
    elapsed = time.monotonic() - start
    for connection in connections:
        connection.abandon("no answer in time")
    return Load(tuple(outcomes), elapsed, 0, 0.0)


def _refused(request: Request, begun: float, error: OSError) -> Outcome:
    seconds = time.monotonic() - begun
    return Outcome(request.name, begun, seconds=seconds, error=f"not connected: {error}")


def _request(method: str, url: str, headers: str, body: bytes, name: str) -> Request:
    parsed = URL(url)
    host, port = parsed.host, parsed.port or 80
    head = f"{method} {parsed.raw_path.decode()} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n"
    return Request((host, port), head.encode() + body, name)


def _run(load: Any) -> Load:
    began = time.thread_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result: Load = runner.run(load)
    spent = time.thread_time() - began
    return Load(result.outcomes, result.elapsed_seconds, result.unsent, spent)
