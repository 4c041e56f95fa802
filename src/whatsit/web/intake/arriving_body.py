"""A body that arrives: read in time, and counted in the shares."""

import asyncio

from starlette.types import Message, Receive, Scope

from whatsit.errors import BodyPacked, Overloaded, RequestTooSlow
from whatsit.web.caller import caller_of
from whatsit.web.intake.pace import Pace
from whatsit.web.intake.shares import Shares
from whatsit.web.request_facts import facts_of

LEAST_BYTES_PER_SECOND = 16_000
"""Slower than this is not a picture on a bad line, but a connection held open on purpose."""
PRESSED_BYTES_PER_SECOND = 64_000
"""Slower than this is given up where others need the memory."""
IDLE_SECONDS = 5.0
"""How long a body may bring nothing at all."""
MAX_CREDIT_SECONDS = 10.0
"""Arrived bytes earn at most this much time in advance."""


class ArrivingBody:
    """The body of one request, read within bounds of time and memory.

    Args:
        shares: Count its bytes.
        scope: Of the request.
        receive: Where the body comes from.
        grace_seconds: How long it may take, before what has arrived earns it more.

    Attributes:
        caller: See `caller_of`.
        held_bytes: How much of it is in memory.

    Raises:
        BodyPacked: The body is compressed.
    """

    def __init__(
        self, shares: Shares, scope: Scope, receive: Receive, grace_seconds: float
    ) -> None:
        self.caller = caller_of(scope)
        self.held_bytes = 0
        self._shares = shares
        self._facts = facts_of(scope)
        self._receive = receive
        self._declared_bytes = self._facts.declared_bytes = _require_plain(scope)
        self._has_arrived = self._facts.body_has_arrived
        self._grace_seconds = grace_seconds
        self._loop = asyncio.get_running_loop()
        self._is_admitted = False
        self._is_given_up = False
        self._promised_bytes = self._received_bytes = 0
        self._timeout: asyncio.Timeout | None = None

    async def __aenter__(self) -> Receive:
        return self.receive

    async def __aexit__(self, *_: object) -> None:
        self.release()

    async def receive(self) -> Message:
        """The next message; see the ASGI specification."""
        if not self._facts.has_unread_body:
            return await self._receive()
        if not self._is_admitted:
            if self._has_arrived():
                return await self._receive_whole()
            number = min(self._declared_bytes, self._shares.max_caller_bytes)
            if not self._shares.try_promise(number, self.caller):
                await self._shares.wait_for_promise(number, self.caller)
            self._enter(number)
        if self._has_arrived():
            message = await self._receive()
        else:
            message = await self._receive_in_time()
        self._require_wanted()
        self._count(len(message.get("body", b"")), more=message.get("more_body", False))
        return message

    async def _receive_whole(self) -> Message:
        """Read a body that has come already; most do, so nothing is done here that need not be."""
        message = await self._receive()
        size = len(message.get("body", b""))
        if not self._shares.try_promise(size, self.caller):
            await self._shares.wait_for_promise(size, self.caller)
        self._promised_bytes = self._received_bytes = size
        self._shares.reserve(size, self.caller)
        self.held_bytes = size
        self._facts.received_bytes = size
        self._facts.has_unread_body = message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> Message:
        try:
            until = min(self._deadline, self._loop.time() + IDLE_SECONDS)
            async with asyncio.timeout_at(until) as self._timeout:
                return await self._receive()
        except TimeoutError as error:
            self._require_wanted()
            raise RequestTooSlow(
                "The body of the request arrived too slowly. Send it again on a faster connection."
            ) from error
        finally:
            self._timeout = None

    def _enter(self, number: int) -> None:
        self._promised_bytes = number
        self._is_admitted = True
        self._shares.watch(self)
        # The time that it waited is not its own fault.
        now = self._loop.time()
        self._deadline = now + self._grace_seconds
        self._pace = Pace(now)

    def _count(self, size: int, *, more: bool) -> None:
        self._received_bytes += size
        missing = self._received_bytes - self._promised_bytes
        if missing > 0:
            self._shares.promise(missing, self.caller)
            self._promised_bytes += missing
        if more:
            now = self._loop.time()
            self._pace.count(size, now)
        self._shares.reserve(size, self.caller, self)
        self.held_bytes += size
        self._require_wanted()  # in its share it may have been the slowest itself
        self._facts.received_bytes = self._received_bytes
        self._facts.has_unread_body = more
        if not more:
            self._shares.forget(self)
            return
        self._deadline = min(
            self._deadline + size / LEAST_BYTES_PER_SECOND,
            now + max(MAX_CREDIT_SECONDS, self._grace_seconds),
        )

    def pace(self, now: float) -> float:
        """Bytes that it brings in a second at present."""
        return self._pace.per_second(now)

    def crawls(self, now: float) -> bool:
        """True if it is given up where another one of its caller waits."""
        return self._pace.is_known(now) and self.pace(now) < PRESSED_BYTES_PER_SECOND

    def seconds_left(self, now: float) -> float:
        """How long the rest of it takes at its present pace; infinite where nothing comes."""
        whole = self._declared_bytes or self._shares.max_caller_bytes
        pace = self.pace(now)
        return max(0, whole - self._received_bytes) / pace if pace else float("inf")

    def give_up(self) -> None:
        """End it, because others need its room; its reader gets `Overloaded`."""
        self._is_given_up = True
        self.release()
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._loop.time())

    def release(self) -> None:
        """Give its room back."""
        self._shares.forget(self)
        self._shares.release(self.held_bytes, self._promised_bytes, self.caller)
        self.held_bytes = self._promised_bytes = 0

    def _require_wanted(self) -> None:
        if self._is_given_up:
            raise Overloaded(
                reason="The memory for pictures is full, and this one arrived most slowly."
            )


def _require_plain(scope: Scope) -> int:
    """The declared length of a body that is as it looks; 0 where none is declared.

    Raises:
        BodyPacked: It is compressed.
    """
    length = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else 0
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise BodyPacked(value.decode("latin-1"))
    return length
