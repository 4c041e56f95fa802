"""The page's WebSocket on one connection: uvicorn's protocol within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from whatsit.web.connection.lines import Line, Lines

_SLICE_BYTES = 4_096
"""Parsed at a time: a read may hold some 40,000 empty frames, which take a third of a second."""
_BURST_SECONDS = 10.0


class Allowance:
    """An amount that may be used up at once, and comes back as time passes.

    Args:
        per_second: How much comes back.
        now: On the same clock as in `take`.
    """

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._most = per_second * _BURST_SECONDS
        self._left = self._most
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Use some of it up; False if there is not so much left."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_second) - amount
        self._at = now
        return self._left >= 0


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One client's WebSocket; it ends if more comes than a page sends.

    Texts are refused: the page's messages are binary.

    Args:
        lines: All open connections.
        facts: The arguments that uvicorn passes to its protocols.
    """

    def __init__(self, *, lines: Lines, **facts: Any) -> None:
        super().__init__(**facts)
        now = self.loop.time()
        self._frames = Allowance(lines.bounds.frames_per_second, now)
        self._bytes = Allowance(lines.bounds.bytes_per_second, now)
        self._now = now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection on which HTTP was spoken until now."""
        super().connection_made(transport)
        if isinstance(transport, Line):
            transport.lingers = _never

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the application that the client has left."""
        super().connection_lost(exc)
        if isinstance(self.transport, Line):
            self.transport.lost()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, as far as there is an allowance for it."""
        self._now = self.loop.time()
        if self.handshake_initiated and not self._bytes.take(len(data), self._now):
            self._fail(CloseCode.POLICY_VIOLATION, "more bytes than a page sends")
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says."""
        await super().send(message)
        if self.close_sent and self.initial_response is not None:
            # Refused, which is complete as well; uvicorn logs an error for each one otherwise.
            self.handshake_complete = True

    def handle_text(self, event: Frame) -> None:
        """Refuse a text."""
        if not self.close_sent:
            self._fail(CloseCode.UNSUPPORTED_DATA, "only binary messages")

    def handle_bytes(self, event: Frame) -> None:
        """Take a message, or its beginning."""
        if self._has_allowance():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a further part of a message."""
        if self._has_allowance():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self._has_allowance():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping."""
        if self._has_allowance():
            super().handle_pong(event)

    def _has_allowance(self) -> bool:
        if self.transport.is_closing():
            return False
        if self._frames.take(1, self._now):
            return True
        self._fail(CloseCode.POLICY_VIOLATION, "more messages than a page sends")
        return False

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self.transport.close()


def _never() -> bool:
    return False
