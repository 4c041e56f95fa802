"""The intake of one process, through which all bodies come."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from starlette.types import Receive, Scope

from whatsit.errors import Overloaded
from whatsit.web.intake.arriving_body import ArrivingBody
from whatsit.web.intake.shares import Shares
from whatsit.web.request_facts import facts_of


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
        on_change: Called with the number of bytes that are held, each time that it changes.
    """

    def __init__(
        self,
        max_held_bytes: int,
        grace_seconds: float,
        largest_bytes: int = 0,
        on_change: Callable[[int], None] | None = None,
    ) -> None:
        self._shares = Shares(max_held_bytes, largest_bytes, on_change)
        self._grace_seconds = grace_seconds

    @property
    def held_bytes(self) -> int:
        """Of all bodies at present."""
        return self._shares.held_bytes

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
        return ArrivingBody(self._shares, scope, receive, self._grace_seconds)

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
            self._shares.promise(number, caller)
            try:
                self._shares.reserve(number, caller)
            except Overloaded:
                self._shares.release(0, number, caller)
                raise
            held_bytes += number

        try:
            yield take
        finally:
            self._shares.release(held_bytes, held_bytes, caller)
