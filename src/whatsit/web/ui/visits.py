"""How many pages may be open, and how often each visitor has them drawn."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from whatsit.errors import PageBusy
from whatsit.web.caller import caller_of
from whatsit.web.guard.door import refuse
from whatsit.web.request_facts import facts_of

PAGE_MESSAGES: Final = frozenset({"rerun_script", "stop_script", "app_heartbeat"})
"""The messages of the page's own client. The others make the server run git, write files or
clear caches."""

_DRAWS_PER_PAGE = 2
_SECONDS_PER_DRAW = 6
_ALL_TOGETHER = 4
"""All addresses together may have this many times as much drawn as one of them."""
_LOOK_SECONDS = 0.5
_FORGET_AFTER = 4_096
# The page's client asks this before it tries its WebSocket again; it shows the answer.
_PINGS = ("/_stcore/health", "/_stcore/host-config")
_POLICY_VIOLATION = 1008


@dataclass(frozen=True)
class VisitLimits:
    """Limits of the page's server.

    Attributes:
        pages: Open at the same time, of all visitors.
        pages_per_address: Of them, from one address. Twice as many runs of the page's script
            may be asked for at once from there, then one for every six seconds and page.
    """

    pages: int
    pages_per_address: int


class _Turns:
    """Hands out turns: so many at once, then at an even rate."""

    def __init__(self, at_once: int, per_second: float) -> None:
        self._seconds_each = 1 / per_second
        self._head_start = at_once / per_second
        self._next = 0.0

    def wait_seconds(self, now: float) -> float:
        """How long one more turn would have to wait."""
        return max(0.0, self._next - self._head_start + self._seconds_each - now)

    def is_used(self, now: float) -> bool:
        """True if fewer turns than the most are left at once."""
        return self._next > now

    def take(self, now: float) -> float:
        """Take a turn; how long to wait for it."""
        seconds = self.wait_seconds(now)
        self._next = max(self._next, now) + self._seconds_each
        return seconds


def _turns_for(pages: int) -> _Turns:
    return _Turns(_DRAWS_PER_PAGE * pages, pages / _SECONDS_PER_DRAW)


class _Visitor:
    def __init__(self, limits: VisitLimits) -> None:
        self.open = 0
        self.turns = _turns_for(limits.pages_per_address)


class Visits:
    """Lets so many pages be open, and has so much drawn; in front of the page's server.

    A page too many is refused with a sentence, which the page's client shows while it tries
    again by itself. A message too many waits for its turn, and nothing behind it is read
    meanwhile. A page is not drawn again before its client has read the last drawing.

    One for the whole process; used in its event loop only.

    Args:
        app: The page's server.
        limits: How many pages it serves.
        is_ending: True if the process is about to end, so that nothing waits any longer.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: VisitLimits,
        is_ending: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app = app
        self._limits = limits
        self._is_ending = is_ending
        self._clock = clock
        self._open = 0
        self._visitors: dict[str, _Visitor] = {}
        self._everybody = _turns_for(_ALL_TOGETHER * limits.pages_per_address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope["type"] == "websocket":
            await self._receive_visitor(scope, receive, send)
        elif scope["path"].endswith(_PINGS) and (busy := self._refusal(caller_of(scope))):
            # The client shows the body only if it is JSON, and a text of it as it stands.
            headers = {"Retry-After": str(ceil(busy.retry_after_seconds))}
            await JSONResponse(busy.detail, 503, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _receive_visitor(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = caller_of(scope)
        if (busy := self._refusal(address)) is not None:
            facts_of(scope).refusal = busy
            await refuse(scope, receive, send)
            return
        visitor = self._visitor(address)
        now = self._clock()
        visitor.turns.take(now)
        self._everybody.take(now)
        visitor.open += 1
        self._open += 1
        try:
            page = _OpenPage(receive, send, lambda: self._await_turn(visitor))
            await self._app(scope, page.receive, page.send)
        finally:
            visitor.open -= 1
            self._open -= 1

    def _refusal(self, address: str) -> PageBusy | None:
        visitor, now = self._visitors.get(address), self._clock()
        if visitor is not None and visitor.open >= self._limits.pages_per_address:
            return PageBusy(
                f"{visitor.open} pages are open from your address, which is the limit. "
                "Close one of them."
            )
        if visitor is not None and (seconds := visitor.turns.wait_seconds(now)) > 0:
            return PageBusy("Too much is asked from your address at once.", seconds)
        if self._open >= self._limits.pages:
            return PageBusy("As many pages are open as this server can serve.")
        if (seconds := self._everybody.wait_seconds(now)) > 0:
            return PageBusy("More visitors come at once than this server can serve.", seconds)
        return None

    def _visitor(self, address: str) -> _Visitor:
        visitor = self._visitors.get(address)
        if visitor is None:
            if len(self._visitors) >= _FORGET_AFTER:
                self._forget_idle()
            visitor = self._visitors[address] = _Visitor(self._limits)
        return visitor

    def _forget_idle(self) -> None:
        now = self._clock()
        self._visitors = {
            address: visitor
            for address, visitor in self._visitors.items()
            if visitor.open or visitor.turns.is_used(now)
        }

    async def _await_turn(self, visitor: _Visitor) -> None:
        for turns in (visitor.turns, self._everybody):
            until = self._clock() + turns.take(self._clock())
            while (seconds := until - self._clock()) > 0 and not self._is_ending():
                await asyncio.sleep(min(seconds, _LOOK_SECONDS))


class _OpenPage:
    """One WebSocket: what comes waits for its turn, and for the client to read what went."""

    def __init__(
        self, receive: Receive, send: Send, await_turn: Callable[[], Awaitable[None]]
    ) -> None:
        self._receive = receive
        self._send = send
        self._await_turn = await_turn
        self._has_read = asyncio.Event()
        self._has_read.set()
        self._is_over = False

    async def send(self, message: Message) -> None:
        """Send on; until the client's system has taken it, nothing more of his is heard.

        Where the client has left, its next message says so. If an error said so here as well,
        Streamlit would ask a closed connection for more, and fail.
        """
        self._has_read.clear()
        try:
            await self._send(message)
        except OSError:
            self._is_over = True
        finally:
            self._has_read.set()

    async def receive(self) -> Message:
        """The next message that the page's server shall see; see the ASGI specification."""
        while not self._is_over:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return message
            await self._await_turn()
            await self._has_read.wait()
            kind = _kind_of(message)
            if kind is None:
                self._is_over = True
                await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            elif kind in PAGE_MESSAGES:
                return message
        return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}


def _kind_of(message: Message) -> str | None:
    """The kind of a message, empty without one; None where our client never sends such."""
    data = message.get("bytes")
    if data is None:
        return None
    try:
        return BackMsg.FromString(data).WhichOneof("type") or ""
    except DecodeError:
        return None
