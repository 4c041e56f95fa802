"""HTTP on one connection: uvicorn's protocol within bounds."""

from __future__ import annotations

import asyncio
from functools import cache
from itertools import chain
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from whatsit.errors import (
    HeadTooLarge,
    MalformedRequest,
    RequestTooSlow,
    TooManyConnections,
    WhatsitError,
)
from whatsit.web.api.problems import problem_for
from whatsit.web.connection.lines import Line, Lines
from whatsit.web.request_facts import facts_of

_NEVER = float("inf")
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_MOST_READ_AWAY = 1_000_000
"""Behind a refused head, bytes. An honest client does not send more."""
_MOST_HANDSHAKE_LINES = 128
_MOST_HANDSHAKE_LINE_BYTES = 8_000
"""Limits of the WebSocket library; it would not answer a larger handshake."""


class _Unwanted(Exception):
    """Stops the parser; why stands in the connection."""


class HttpConnection(HttpToolsProtocol):
    """One client's connection.

    A request whose head is too large, too slow or no HTTP is refused with a problem document. The
    connection ends after an answer to a request whose body was not read to its end; what the
    client still sends is read away within bounds, so that it sees the answer. Of other protocols
    that a client offers, none but WebSocket is taken up.

    Args:
        lines: All open connections.
        facts: The arguments that uvicorn passes to its protocols.
    """

    def __init__(self, *, lines: Lines, **facts: Any) -> None:
        super().__init__(**facts)
        self._lines = lines
        self._bounds = lines.bounds
        self._line: Line | None = None
        self._running: RequestResponseCycle | None = None
        self._refusal: WhatsitError | None = None
        self._is_deaf = False
        """True while everything that comes is dropped unread."""
        self._is_stopping = False
        self._in_message = False
        self._in_head = False
        self._is_repeating_head = False
        self._keeps_alive = False
        self._has_offer = False
        self._begun = 0
        self._piece_bytes = 0
        self._head_bytes = 0
        """Of the pieces before this one."""
        self._bare_bytes = 0
        """How much came since the last byte of a body: lengths of chunks, trailers."""
        self._linger_until = 0.0
        self._discardable_bytes = lines.bounds.linger_bytes

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection in, or refuse it."""
        line = self._lines.admit(transport)
        if line is None:
            self._is_deaf = True
            self.connections.add(self)
            self.transport = transport
            transport.write(_too_many())
            transport.close()
            return
        super().connection_made(transport)
        line.on_deadline = self._end_late
        line.lingers = self._linger
        self._line = line
        self.transport = cast(asyncio.Transport, line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the application that this client has left."""
        if self._line is not None:
            self._line.lost()
        self.pipeline.clear()
        for cycle in (self._running, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End soon: the server stops."""
        self._is_stopping = True
        self._keeps_alive = False
        if self._line is not None and self._line.is_ending:
            self._line.abort()
        else:
            super().shutdown()

    def _end_late(self) -> None:
        line = self._line
        if line is None:
            return
        if line.is_ending or not self._in_head:
            line.abort()
            return
        self._lines.refused("with a head that came too slowly")
        self._refuse(RequestTooSlow("The head of the request arrived too slowly. Send it again."))

    def _linger(self) -> bool:
        """True if the client still sends; then that is read away for a while."""
        self._is_deaf = True
        if self._line is None or self._is_stopping or not self._in_message:
            return False
        now = self.loop.time()
        self._linger_until = now + self._bounds.linger_seconds
        self._line.deadline = now + self._bounds.quiet_seconds
        self.flow.resume_reading()
        return True

    def _discard(self, size: int) -> None:
        line = self._line
        if line is None or not line.is_ending:
            return
        self._discardable_bytes -= size
        if self._discardable_bytes < 0:
            line.abort()
        else:
            line.deadline = min(self._linger_until, self.loop.time() + self._bounds.quiet_seconds)

    # Arriving bytes

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and answer what is complete."""
        if self._is_deaf:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        self._piece_bytes = len(data)
        begun, was_in_message = self._begun, self._in_message
        had_bytes = len(self.cycle.body) if was_in_message and not self._in_head else 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if not self._go_on_behind(offer, data):
                return
        except httptools.HttpParserError:
            self._stop()
            return
        if self._in_message:
            self._weigh(self._begun - begun, was_in_message, had_bytes)
        elif self._begun == begun and not was_in_message:
            self._bound_nothing()

    def _go_on_behind(self, offer: httptools.HttpParserUpgrade, data: bytes) -> bool:
        """Take a WebSocket, or ignore the offer and parse the rest; False where that ended it."""
        rest = memoryview(data)
        while not self._should_upgrade():
            rest = rest[offer.args[0] :]
            self._ignore_offer()
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as another:
                offer = another
            except httptools.HttpParserError:
                self._stop()
                return False
            else:
                return True
        self.handle_websocket_upgrade()
        return True

    def _ignore_offer(self) -> None:
        """Go on after a head that offers another protocol, as if it did not.

        The parser leaves the body of such a request alone. Another one, which learns where that
        body ends and nothing of the offer, reads on from there.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"POST / HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name in _FRAMING]
        self._has_offer = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._is_repeating_head = True
        head = b"\r\n".join([line for line in lines if b"pgrade" not in line] + [b"", b""])
        self.parser.feed_data(head)
        self._is_repeating_head = False

    def _weigh(self, begun: int, was_in_message: bool, had_bytes: int) -> None:
        """Bound the bytes of what is not complete, and the time of a head."""
        if self._is_deaf:
            return
        if self._in_head:
            if not begun:
                self._head_bytes += self._piece_bytes
            elif begun == 1 and not was_in_message:
                self._head_bytes = self._piece_bytes
            bytes_without_content = self._head_bytes
            self._bound_head()
        else:
            if begun or len(self.cycle.body) > had_bytes or self.cycle.response_complete:
                self._bare_bytes = 0
            else:
                self._bare_bytes += self._piece_bytes
            bytes_without_content = self._bare_bytes
        if bytes_without_content > self._bounds.head_bytes:
            self._refusal = _head_too_large(self._bounds.head_bytes)
            self._stop()

    def _bound_nothing(self) -> None:
        """Bound the time of line ends before a request, which the parser passes over."""
        if self._running is None or self._running.response_complete:
            self._bound_head()

    def _bound_head(self) -> None:
        if self._line is not None and self._line.deadline == _NEVER:
            self._line.deadline = self.loop.time() + self._bounds.head_seconds

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._is_repeating_head:
            return
        if len(self.pipeline) >= self._bounds.waiting_requests:
            raise _Unwanted
        self._begun += 1
        self._in_message = self._in_head = True
        self._head_bytes = self._bare_bytes = 0
        if self._line is not None:
            self._line.deadline = _NEVER
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. One behind the body is dropped: the rules of the door have not seen it."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete; the request is answered from here on."""
        if self._is_repeating_head:
            return
        if self._head_bytes + self._piece_bytes > self._bounds.head_bytes:
            size = sum(map(len, chain.from_iterable(self.headers))) + 4 * len(self.headers)
            if size + len(self.url) > self._bounds.head_bytes:
                self._refusal = _head_too_large(self._bounds.head_bytes)
                raise _Unwanted
        super().on_headers_complete()
        self._in_head = False
        if self._line is not None:
            self._line.deadline = _NEVER
        self._has_offer = self.parser.should_upgrade()
        if self._has_offer and self._should_upgrade():
            return
        cycle = self.cycle
        # Until the body is there: an answer before its end is the last one.
        self._keeps_alive = cycle.keep_alive
        cycle.keep_alive = False
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        facts_of(scope).body_has_arrived = lambda: not cycle.more_body

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._has_offer:
            return  # the body of an offer comes yet; a handshake has none
        self._in_message = False
        super().on_message_complete()
        cycle = self.cycle
        if not cycle.response_started:
            cycle.keep_alive = self._keeps_alive

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # Other protocols

    def _should_upgrade(self) -> bool:
        return (
            self.scope["method"] == "GET"
            and self.scope["http_version"] == "1.1"
            and super()._should_upgrade()
        )

    def _get_upgrade(self) -> bytes | None:
        offers = [value.strip().lower() for name, value in self.headers if name == b"upgrade"]
        listed = b",".join(value for name, value in self.headers if name == b"connection")
        wishes = [wish.strip().lower() for wish in listed.split(b",")]
        return offers[0] if len(offers) == 1 and b"upgrade" in wishes else None

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        lengths = [len(name) + len(value) for name, value in self.headers] + [len(self.url)]
        if len(lengths) > _MOST_HANDSHAKE_LINES or max(lengths) > _MOST_HANDSHAKE_LINE_BYTES:
            self._refusal = HeadTooLarge(
                f"The handshake of a WebSocket may have {_MOST_HANDSHAKE_LINES} headers "
                f"of {_MOST_HANDSHAKE_LINE_BYTES:,} bytes. Delete cookies of this site."
            )
            self._stop()
        elif self.cycle is not None and not self.cycle.response_complete:
            self._refusal = MalformedRequest("A handshake must not follow a request at once.")
            self._stop()
        else:
            self._is_deaf = True
            super().handle_websocket_upgrade()

    # Refusals

    def _stop(self) -> None:
        """End the connection because of what has come, after what was asked before."""
        if self._refusal is None and len(self.pipeline) >= self._bounds.waiting_requests:
            # No client needs that many at once; one that does sends the rest again.
            self._lines.refused("with more requests at once than may wait")
            self._is_deaf = True
            self.cycle.keep_alive = False
            return
        refusal = self._refusal or MalformedRequest("This is not a request in HTTP/1.1.")
        self._lines.refused(
            "with a head that was too large"
            if isinstance(refusal, HeadTooLarge)
            else "with something else than HTTP"
        )
        self._refuse(refusal)

    def _refuse(self, error: WhatsitError) -> None:
        self._is_deaf = True
        self._in_message = True  # there may be more of it
        self._discardable_bytes = min(self._discardable_bytes, _MOST_READ_AWAY)
        unread = None if self._in_head or self.cycle is None else self.cycle
        if unread is not None and unread.more_body and not unread.response_complete:
            # It waits for the rest of its body, which can't be read any more.
            unread.disconnected = True
            unread.message_event.set()
            if self.pipeline and self.pipeline[0][0] is unread:
                self.pipeline.popleft()
        before = self.pipeline[0][0] if self.pipeline else self._running
        if before is not None and not before.disconnected and not before.response_complete:
            before.keep_alive = False  # it is answered yet, and ends the connection
            return
        if unread is None or not unread.disconnected or not unread.response_started:
            self.transport.write(_answer_to(error))
        self.transport.close()


def _head_too_large(limit_bytes: int) -> HeadTooLarge:
    return HeadTooLarge(
        f"The request line and the headers have more than {limit_bytes:,} bytes. Send less."
    )


@cache
def _too_many() -> bytes:
    return _answer_to(TooManyConnections())


def _answer_to(error: WhatsitError) -> bytes:
    response = problem_for(error)
    lines = [STATUS_LINE[response.status_code].rstrip()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    lines += [b"x-content-type-options: nosniff", b"connection: close", b"", b""]
    return b"\r\n".join(lines) + bytes(response.body)
