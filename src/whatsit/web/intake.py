"""Taking bodies in: never more of them than there is memory, and none for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.errors import Overloaded, RequestTooSlow, WhatsitError
from whatsit.web.api.problems import problem_for

LEAST_BYTES_PER_SECOND = 16_000
"""Slower than this is no picture on a bad line, but a connection held open on purpose."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

UNREAD_IN_SCOPE = "whatsit.unread"
"""Whether a part of the body is still to come; if so, the connection can't be used again."""

RECEIVED_IN_SCOPE = "whatsit.received_bytes"
"""How many bytes of the body have been read."""


class Intake:
    """Counts the bytes of all bodies in memory, and gives each of them a time to arrive in.

    One for the whole process; used in its event loop only.

    Args:
        max_held_bytes: Of all bodies together.
        grace_seconds: How long a body may take, before what has arrived earns it more.
        on_change: Told how many bytes are held, each time that changes.
    """

    def __init__(
        self,
        max_held_bytes: int,
        grace_seconds: float,
        on_change: Callable[[int], None] = lambda held_bytes: None,
    ) -> None:
        self._max_held_bytes = max_held_bytes
        self._grace_seconds = grace_seconds
        self._on_change = on_change
        self._held_bytes = 0

    @asynccontextmanager
    async def take(self, scope: Scope, receive: Receive) -> AsyncIterator[Receive]:
        """Read a body through what this yields; its bytes count as held until the block ends.

        As long as there is more of it to come, the scope says so under `UNREAD_IN_SCOPE`.

        Raises:
            RequestTooSlow: From reading, when the body does not keep up.
            Overloaded: From reading, when too many bytes are held already.
        """
        deadline = asyncio.get_running_loop().time() + self._grace_seconds
        body = _Body(self, scope, receive, deadline)
        try:
            yield body.receive
        finally:
            self._hold(-body.held_bytes)

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], None]]:
        """Count bytes that come another way, by what this yields; held until the block ends.

        Raises:
            Overloaded: From counting, when too many bytes are held already.
        """
        held_bytes = 0

        def take(number: int) -> None:
            nonlocal held_bytes
            self.require_room(number)
            held_bytes += number

        try:
            yield take
        finally:
            self._hold(-held_bytes)

    def _hold(self, number: int) -> None:
        self._held_bytes += number
        self._on_change(self._held_bytes)

    def require_room(self, number: int) -> None:
        """Take so many bytes more.

        Raises:
            Overloaded: They would be too many.
        """
        if self._held_bytes + number > self._max_held_bytes:
            raise Overloaded
        self._hold(number)


class _Body:
    def __init__(self, intake: Intake, scope: Scope, receive: Receive, deadline: float) -> None:
        self._intake = intake
        self._scope = scope
        self._receive = receive
        self._deadline = deadline
        self._scope[UNREAD_IN_SCOPE] = True
        self.held_bytes = 0

    async def receive(self) -> Message:
        """The next message; see the ASGI specification."""
        if not self._scope[UNREAD_IN_SCOPE]:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise RequestTooSlow(
                "The body of the request arrived too slowly. Send it again on a better line."
            ) from error
        size = len(message.get("body", b""))
        self._intake.require_room(size)
        self.held_bytes += size
        self._scope[RECEIVED_IN_SCOPE] = self.held_bytes
        self._deadline += size / LEAST_BYTES_PER_SECOND
        self._scope[UNREAD_IN_SCOPE] = message.get("more_body", False)
        return message


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

        async with self._intake.take(scope, receive) as body:

            async def receive_or_leave() -> Message:
                nonlocal refusal
                try:
                    return await body()
                except WhatsitError as error:
                    refusal = error
                    return {"type": "http.disconnect"}

            try:
                await self._app(scope, receive_or_leave, send_unless_refused)
            except Exception:
                if refusal is None:
                    raise
        if refusal is not None and not has_begun:
            response = problem_for(refusal)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
