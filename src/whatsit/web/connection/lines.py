"""All open connections: how many there are, of whom, and how long they may stay silent."""

import asyncio
import ipaddress
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.utils import get_remote_addr

from whatsit.access.networks import Network
from whatsit.web.caller import caller_at

_log = logging.getLogger(__name__)

_NEVER = float("inf")
_MOST_DESCRIPTORS = 8_192
_OTHER_DESCRIPTORS = 256
"""Kept for files, Redis, the model and pictures that are fetched."""
_REPORT_SECONDS = 60.0


@dataclass(frozen=True)
class Bounds:
    """Limits on the cost of one connection, and of all of them together.

    Attributes:
        per_address: Open connections of one address.
        in_all: Open connections; a silent one takes some 22 kB of memory.
        first_byte_seconds: From connecting until the first byte.
        head_seconds: From the first byte of a request until its headers are complete.
        head_bytes: Of a request line with its headers; of the trailers of a body, likewise.
        waiting_requests: How many requests may wait in a connection for the one before them.
        linger_bytes: How much of an unwanted body is read away, so that its sender sees the
            answer.
        linger_seconds: How long that may take.
        quiet_seconds: How long such a sender may pause.
        stuck_seconds: How long a client may read nothing of what is there for it.
        message_bytes: Of a WebSocket message.
        frames_per_second: Of a WebSocket; ten seconds' worth may come at once.
        bytes_per_second: Of a WebSocket; ten seconds' worth may come at once.
        look_seconds: How often times are looked at.
    """

    per_address: int = 100
    in_all: int = 2_000
    first_byte_seconds: float = 5.0
    head_seconds: float = 10.0
    head_bytes: int = 64_000
    waiting_requests: int = 64
    linger_bytes: int = 40_000_000
    linger_seconds: float = 30.0
    quiet_seconds: float = 2.0
    stuck_seconds: float = 30.0
    message_bytes: int = 256_000
    frames_per_second: float = 20.0
    bytes_per_second: float = 64_000.0
    look_seconds: float = 1.0


def raise_descriptor_limit() -> int:
    """Let this process open as many files as the system allows it, within reason.

    Returns:
        How many connections fit below the limit.
    """
    if sys.platform == "win32":
        return _MOST_DESCRIPTORS - _OTHER_DESCRIPTORS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_DESCRIPTORS
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(soft - _OTHER_DESCRIPTORS, soft // 2)


class Line:
    """One connection from its beginning to its end, whichever protocol is spoken on it.

    It stands in for the transport: what is written after its end is dropped without an error, and
    closing it may wait for the client.

    Attributes:
        write: See `asyncio.Transport.write`.
        deadline: When `on_deadline` is called, on the clock of the event loop.
        on_deadline: Called once for each deadline, up to a second late.
        lingers: Asked before closing whether the client still has something to send.
        is_ending: True once it was closed; the client may still have to read its last answer.
    """

    def __init__(
        self, transport: asyncio.Transport, lines: "Lines", caller: str, deadline: float
    ) -> None:
        self._transport = transport
        self._lines = lines
        self._unsent = 0
        self._stuck_seconds = 0.0
        self.caller = caller
        self.write: Callable[[bytes], None] = transport.write
        self.deadline = deadline
        self.on_deadline: Callable[[], None] = self.abort
        self.lingers: Callable[[], bool] = _never
        self.is_ending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """See `asyncio.Transport.is_closing`."""
        return self.is_ending or self._transport.is_closing()

    def close(self) -> None:
        """Close it once everything is written, and the client has nothing more to send."""
        if self.is_ending:
            return
        self.is_ending = True
        self.write = _drop
        if self.lingers():
            # A socket that is closed with something unread in it takes the answer back.
            self._transport.write_eof()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self.is_ending = True
        self.write = _drop
        self._transport.abort()

    def lost(self) -> None:
        """Forget it; it is gone."""
        self.is_ending = True
        self.write = _drop
        self._lines.forget(self)

    def look(self, now: float, bounds: Bounds) -> None:
        """End it if its time is over, or if its client does not read what was written."""
        if now >= self.deadline:
            self.deadline = _NEVER
            self.on_deadline()
            return
        unsent = self._transport.get_write_buffer_size()
        if 0 < unsent >= self._unsent > 0:
            # By what was looked at rather than by the clock: a machine that slept is not a reason.
            self._stuck_seconds += bounds.look_seconds
            if self._stuck_seconds >= bounds.stuck_seconds:
                self.abort()
        else:
            self._stuck_seconds = 0.0
        self._unsent = unsent


class Lines:
    """All open connections of one process. Used in its event loop only.

    Args:
        bounds: Limits on their cost.
        unlimited: Networks whose addresses may open as many as they like: those of proxies.
    """

    def __init__(self, bounds: Bounds, unlimited: Sequence[Network] = ()) -> None:
        self.bounds = bounds
        self._unlimited = tuple(unlimited)
        self._open: set[Line] = set()
        self._by_caller: Counter[str] = Counter()
        self._is_looking = False
        self._refused: Counter[str] = Counter()
        self._reported_at = -_NEVER

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, transport: asyncio.Transport) -> Line | None:
        """A new connection; None if it is one too many."""
        loop = asyncio.get_running_loop()
        host = (get_remote_addr(transport) or ("",))[0]
        caller = caller_at(host) if host else ""
        if len(self._open) >= self.bounds.in_all:
            self.refused("over the bound of all")
        elif self._by_caller[caller] >= self.bounds.per_address and not self._is_unlimited(host):
            self.refused("over the bound of their address")
        else:
            line = Line(transport, self, caller, loop.time() + self.bounds.first_byte_seconds)
            self._open.add(line)
            self._by_caller[caller] += 1
            self._look_later(loop)
            return line
        self._look_later(loop)
        return None

    def forget(self, line: Line) -> None:
        """A connection has ended."""
        if line in self._open:
            self._open.discard(line)
            self._by_caller[line.caller] -= 1
            if not self._by_caller[line.caller]:
                del self._by_caller[line.caller]

    def refused(self, why: str) -> None:
        """A connection was refused; that is logged once a minute for all of them together."""
        self._refused[why] += 1

    def _is_unlimited(self, host: str) -> bool:
        if not self._unlimited:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._unlimited)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(self.bounds.look_seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for line in tuple(self._open):
            line.look(now, self.bounds)
        self._report(now)
        self._is_looking = False
        if self._open or self._refused:
            self._look_later(loop)

    def _report(self, now: float) -> None:
        if self._refused and now - self._reported_at >= _REPORT_SECONDS:
            counts = ", ".join(f"{count:,} {why}" for why, count in self._refused.most_common())
            _log.warning("Connections were refused: %s.", counts)
            self._refused.clear()
            self._reported_at = now


def _never() -> bool:
    return False


def _drop(data: bytes) -> None:
    """In the place of writing to a client that has left."""
