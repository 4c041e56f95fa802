"""Taking bodies in: no more than there is memory, none for ever, and a share for each caller."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.errors import BodyPacked, Overloaded, RateLimited, RequestTooSlow, WhatsitError
from whatsit.web.api.problems import problem_for
from whatsit.web.caller import caller_of
from whatsit.web.request_facts import facts_of

LEAST_BYTES_PER_SECOND = 16_000
"""Slower than this is no picture on a bad line, but a connection held open on purpose."""
PRESSED_BYTES_PER_SECOND = 64_000
"""Slower than this is given up where others need the memory."""
IDLE_SECONDS = 5.0
"""How long a body may bring nothing at all."""
MAX_CREDIT_SECONDS = 10.0
"""What has arrived earns no more time than this in advance."""
SHARE_RATIO = 0.25
"""How much of the memory for bodies one caller may hold."""
WAIT_SECONDS = 5.0
"""How long a body waits for a place in the share of its caller, before any of it is read."""
MAX_WAITING = 32
"""Bodies of one caller that wait; the web server holds up to 320 kB of each meanwhile."""

_STILL_SECONDS = 1.0
"""A body that has brought nothing for so long has no pace, whatever it brought before."""
_LEAST_AGE_SECONDS = 0.25
"""Of a body whose pace is told; before, a first small packet would say too much."""
_LOOK_SECONDS = 0.5
"""How often a body that waits looks whether another one has become too slow."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Intake:
    """Counts the bytes of all bodies in memory, and gives each of them a time to arrive in.

    One caller holds a quarter of the memory at most: a body of a length that is declared waits
    for its place there and is then sure of it, unless it crawls while others wait. Where all
    callers together need more than there is, the slowest goes: the body whose rest would take the
    longest at its present pace, times what its caller holds.

    One for the whole process; used in its event loop only.

    Args:
        max_held_bytes: Of all bodies together.
        grace_seconds: How long a body may take, before what has arrived earns it more.
        largest_bytes: Of one body; a caller may always hold as much, whatever the share.
        on_change: Told how many bytes are held, each time that changes.

    Attributes:
        held_bytes: Of all bodies at present.
    """

    def __init__(
        self,
        max_held_bytes: int,
        grace_seconds: float,
        largest_bytes: int = 0,
        on_change: Callable[[int], None] | None = None,
    ) -> None:
        self._max_held_bytes = max_held_bytes
        share = max(int(max_held_bytes * SHARE_RATIO), largest_bytes)
        self.max_caller_bytes = min(share, max_held_bytes)
        self._grace_seconds = grace_seconds
        self._on_change = on_change
        self.held_bytes = 0
        self._held_by: dict[str, int] = {}
        self._promised_to: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._freed: dict[str, asyncio.Event] = {}
        self._arriving: set[_Body] = set()

    def take(self, scope: Scope, receive: Receive) -> AbstractAsyncContextManager[Receive]:
        """Read a body through what this yields; its bytes count as held until the block ends.

        As long as there is more of it to come, the request's facts say so.

        Raises:
            BodyPacked: The body is compressed.
            RequestTooSlow: From reading, when the body does not keep up.
            RateLimited: From reading, when its caller holds too many bytes already.
            Overloaded: From reading, when all callers together do, or others need its room.
        """
        facts_of(scope).has_unread_body = True
        return _Body(self, scope, receive, self._grace_seconds)

    @contextmanager
    def hold(self, caller: str) -> Iterator[Callable[[int], None]]:
        """Count bytes that come another way, by what this yields; held until the block ends.

        Args:
            caller: For whom they come; see `caller_of`.

        Raises:
            RateLimited: From counting, when the caller holds too many bytes already.
            Overloaded: From counting, when all callers together do.
        """
        held_bytes = 0

        def take(number: int) -> None:
            nonlocal held_bytes
            self.promise(number, caller)
            try:
                self.require_room(number, caller)
            except Overloaded:
                self.release(0, number, caller)
                raise
            held_bytes += number

        try:
            yield take
        finally:
            self.release(held_bytes, held_bytes, caller)

    def admit_at_once(self, body: "_Body | None", number: int, caller: str) -> bool:
        """Promise so many bytes of a caller's share, if they are there, to a body that arrives.

        None stands for a body that has arrived.
        """
        if not self._promise(number, caller):
            return False
        if body is not None:
            self._arriving.add(body)
        return True

    async def admit(self, body: "_Body | None", number: int, caller: str) -> None:
        """As `admit_at_once`, but wait until they are there.

        Raises:
            RateLimited: They are not there in time, or too many bodies wait already.
        """
        if self._waiting.get(caller, 0) >= MAX_WAITING:
            raise self._share_is_full()
        self._waiting[caller] = self._waiting.get(caller, 0) + 1
        try:
            await self._wait_for_place(number, caller)
        finally:
            _subtract(self._waiting, caller, 1)
            if caller not in self._waiting:
                self._freed.pop(caller, None)
        if body is not None:
            self._arriving.add(body)

    async def _wait_for_place(self, number: int, caller: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        freed = self._freed.setdefault(caller, asyncio.Event())
        while not self._promise(number, caller):
            left_seconds = deadline - loop.time()
            if left_seconds <= 0:
                raise self._share_is_full()
            freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_seconds, _LOOK_SECONDS)):
                    await freed.wait()

    def promise(self, number: int, caller: str) -> None:
        """Promise a caller so many bytes of its share at once.

        Raises:
            RateLimited: They are not there.
        """
        if not self._promise(number, caller):
            raise self._share_is_full()

    def _promise(self, number: int, caller: str) -> bool:
        while (promised := self._promised_to.get(caller, 0) + number) > self.max_caller_bytes:
            if not self._give_up_crawling(caller):
                return False
        if number:
            self._promised_to[caller] = promised
        return True

    def _share_is_full(self) -> RateLimited:
        return RateLimited(f"{self.max_caller_bytes / 1e6:.3g} MB at the same time", 1.0)

    def require_room(self, number: int, caller: str, body: "_Body | None" = None) -> None:
        """Take so many bytes more, in place of slower ones if need be.

        Args:
            number: How many.
            caller: Whose.
            body: What they belong to, if there is more of it to come.

        Raises:
            Overloaded: They would be too many for all callers together.
        """
        while self.held_bytes + number > self._max_held_bytes:
            if not self._give_up_slowest(body, number):
                raise Overloaded
        if number:
            self.held_bytes += number
            self._held_by[caller] = self._held_by.get(caller, 0) + number
            if self._on_change is not None:
                self._on_change(self.held_bytes)

    def has_arrived(self, body: "_Body") -> None:
        """Be told that a body is whole or gone, so that it is not given up any more."""
        self._arriving.discard(body)

    def release(self, held_bytes: int, promised_bytes: int, caller: str) -> None:
        """Take back what was held and what was promised."""
        if held_bytes:
            self.held_bytes -= held_bytes
            _subtract(self._held_by, caller, held_bytes)
            if self._on_change is not None:
                self._on_change(self.held_bytes)
        if promised_bytes:
            _subtract(self._promised_to, caller, promised_bytes)
            if (freed := self._freed.get(caller)) is not None:
                freed.set()

    def _give_up_crawling(self, caller: str) -> bool:
        """End the slowest body of a caller, if it crawls; two that are alike must not do so."""
        now = asyncio.get_running_loop().time()
        own = [body for body in self._arriving if body.caller == caller and body.crawls(now)]
        if not own:
            return False
        slowest = min(own, key=lambda body: body.pace(now))
        slowest.give_up()
        return True

    def _give_up_slowest(self, newest: "_Body | None", number: int) -> bool:
        """End the body that costs most to wait for; False where that is `newest`, or nothing is."""
        now = asyncio.get_running_loop().time()
        slowest, most = newest, 0.0
        if newest is not None:
            most = self._cost(newest, now, number)
        for body in self._arriving:
            if body is not newest and body.held_bytes and (cost := self._cost(body, now)) > most:
                slowest, most = body, cost
        if slowest is newest or slowest is None:
            return False
        slowest.give_up()
        return True

    def _cost(self, body: "_Body", now: float, more: int = 0) -> float:
        """Memory that a caller holds, times how long it will: byte seconds.

        Where only time counted, a flood that comes fast and then falls silent would be fast.
        """
        return max(1.0, body.seconds_left(now)) * (self._held_by.get(body.caller, 0) + more)


class _Body:
    def __init__(
        self, intake: Intake, scope: Scope, receive: Receive, grace_seconds: float
    ) -> None:
        self.caller = caller_of(scope)
        self.held_bytes = 0
        self._intake = intake
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
            number = min(self._declared_bytes, self._intake.max_caller_bytes)
            if not self._intake.admit_at_once(self, number, self.caller):
                await self._intake.admit(self, number, self.caller)
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
        if not self._intake.admit_at_once(None, size, self.caller):
            await self._intake.admit(None, size, self.caller)
        self._promised_bytes = self._received_bytes = size
        self._intake.require_room(size, self.caller)
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
                "The body of the request arrived too slowly. Send it again on a better line."
            ) from error
        finally:
            self._timeout = None

    def _enter(self, number: int) -> None:
        self._promised_bytes = number
        self._is_admitted = True
        # The time that it waited is not its own fault.
        now = self._loop.time()
        self._deadline = now + self._grace_seconds
        self._pace = _Pace(now)

    def _count(self, size: int, *, more: bool) -> None:
        self._received_bytes += size
        missing = self._received_bytes - self._promised_bytes
        if missing > 0:
            self._intake.promise(missing, self.caller)
            self._promised_bytes += missing
        if more:
            now = self._loop.time()
            self._pace.count(size, now)
        self._intake.require_room(size, self.caller, self)
        self.held_bytes += size
        self._require_wanted()  # in its share it may have been the slowest itself
        self._facts.received_bytes = self._received_bytes
        self._facts.has_unread_body = more
        if not more:
            self._intake.has_arrived(self)
            return
        self._deadline = min(
            self._deadline + size / LEAST_BYTES_PER_SECOND,
            now + max(MAX_CREDIT_SECONDS, self._grace_seconds),
        )

    def pace(self, now: float) -> float:
        """Bytes that it brings in a second at present."""
        return self._pace.per_second(now)

    def crawls(self, now: float) -> bool:
        """Whether it is given up where another one of its caller waits."""
        return self._pace.is_known(now) and self.pace(now) < PRESSED_BYTES_PER_SECOND

    def seconds_left(self, now: float) -> float:
        """How long the rest of it takes at its present pace; infinite where nothing comes."""
        whole = self._declared_bytes or self._intake.max_caller_bytes
        pace = self.pace(now)
        return max(0, whole - self._received_bytes) / pace if pace else float("inf")

    def give_up(self) -> None:
        """Let it go, because others need its room; whoever reads it is told."""
        self._is_given_up = True
        self.release()
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._loop.time())

    def release(self) -> None:
        """Give its room back."""
        self._intake.has_arrived(self)
        self._intake.release(self.held_bytes, self._promised_bytes, self.caller)
        self.held_bytes = self._promised_bytes = 0

    def _require_wanted(self) -> None:
        if self._is_given_up:
            raise Overloaded(
                reason="The memory for pictures is full, and this one arrived most slowly."
            )


class _Pace:
    """How fast a body arrives, as the number of bytes in the last second.

    Args:
        begun: Time of the event loop.
    """

    __slots__ = ("_before", "_begun", "_in_second", "_last", "_second")

    def __init__(self, begun: float) -> None:
        self._begun = self._last = begun
        self._second = self._in_second = self._before = 0

    def count(self, size: int, now: float) -> None:
        """Count bytes that have just come."""
        if size:
            self._go_on_to(now)
            self._in_second += size
            self._last = now

    def is_known(self, now: float) -> bool:
        """Whether it has lasted long enough to tell."""
        return now - self._begun >= _STILL_SECONDS

    def per_second(self, now: float) -> float:
        """As far as is known in its first second; 0 where nothing has come for a second."""
        if now - self._last >= _STILL_SECONDS:
            return 0.0
        age = now - self._begun
        if age < 1:
            return self._in_second / max(age, _LEAST_AGE_SECONDS)
        self._go_on_to(now)
        return self._in_second + self._before * (1 - age % 1)

    def _go_on_to(self, now: float) -> None:
        second = int(now - self._begun)
        if second != self._second:
            self._before = self._in_second if second == self._second + 1 else 0
            self._second, self._in_second = second, 0


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


def _subtract(counts: dict[str, int], name: str, number: int) -> None:
    left = counts[name] - number
    if left:
        counts[name] = left
    else:
        del counts[name]


class IntakeLayer:
    """Takes the bodies of an application in that knows nothing of an intake.

    The application is told that a client has left whose body does not keep up or finds no room;
    the client is told why.
    """

    def __init__(self, app: ASGIApp, intake: Intake) -> None:
        self._app = app
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        refusal: WhatsitError | None = None
        has_begun = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal has_begun
            if refusal is None:
                has_begun = True
                await send(message)

        try:
            async with self._intake.take(scope, receive) as body:

                async def receive_or_leave() -> Message:
                    nonlocal refusal
                    try:
                        return await body()
                    except WhatsitError as error:
                        refusal = error
                        return {"type": "http.disconnect"}

                await self._app(scope, receive_or_leave, send_unless_refused)
        except BodyPacked as error:
            refusal = error
        except Exception:
            if refusal is None:
                raise
        if refusal is not None and not has_begun:
            response = problem_for(refusal)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
