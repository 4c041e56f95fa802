"""The memory that bodies take, and the share of it that each caller has."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from whatsit.errors import Overloaded, RateLimited

SHARE_RATIO = 0.25
"""How much of the memory for bodies one caller may hold."""
WAIT_SECONDS = 5.0
"""How long a body waits for a place in the share of its caller, before any of it is read."""
MAX_WAITING = 32
"""Bodies of one caller that wait; the web server holds up to 320 kB of each meanwhile."""

_LOOK_SECONDS = 0.5
"""How often a body that waits looks whether another one has become too slow."""


class Arriving(Protocol):
    """A body of which more is to come; times are those of the event loop."""

    caller: str
    held_bytes: int

    def pace(self, now: float) -> float:
        """Bytes that it brings in a second at present."""
        ...

    def crawls(self, now: float) -> bool:
        """True if it is given up where another one of its caller waits."""
        ...

    def seconds_left(self, now: float) -> float:
        """How long the rest of it takes at its present pace."""
        ...

    def give_up(self) -> None:
        """End it and release its bytes."""
        ...


class Shares:
    """Counts the bytes of bodies in memory by caller; gives bodies up where others need the room.

    A caller is promised its bytes before they arrive, up to its share. Bytes that have arrived are
    reserved in the memory of all callers together.

    Args:
        max_held_bytes: Of all bodies together.
        largest_bytes: Of one body; a caller may always hold as much, whatever the share.
        on_change: Called with the number of bytes that are held, each time that it changes.

    Attributes:
        held_bytes: Of all bodies at present.
        max_caller_bytes: Of all bodies of one caller.
    """

    def __init__(
        self,
        max_held_bytes: int,
        largest_bytes: int,
        on_change: Callable[[int], None] | None,
    ) -> None:
        self._max_held_bytes = max_held_bytes
        share = max(int(max_held_bytes * SHARE_RATIO), largest_bytes)
        self.max_caller_bytes = min(share, max_held_bytes)
        self._on_change = on_change
        self.held_bytes = 0
        self._held_by: dict[str, int] = {}
        self._promised_to: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._freed: dict[str, asyncio.Event] = {}
        self._arriving: set[Arriving] = set()

    def try_promise(self, number: int, caller: str) -> bool:
        """Promise a caller so many bytes of its share, if they are there."""
        while (promised := self._promised_to.get(caller, 0) + number) > self.max_caller_bytes:
            if not self._give_up_crawling(caller):
                return False
        if number:
            self._promised_to[caller] = promised
        return True

    def promise(self, number: int, caller: str) -> None:
        """Promise a caller so many bytes of its share at once.

        Raises:
            RateLimited: They are not there.
        """
        if not self.try_promise(number, caller):
            raise self._share_is_full()

    async def wait_for_promise(self, number: int, caller: str) -> None:
        """As `promise`, but wait until they are there.

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

    async def _wait_for_place(self, number: int, caller: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        freed = self._freed.setdefault(caller, asyncio.Event())
        while not self.try_promise(number, caller):
            left_seconds = deadline - loop.time()
            if left_seconds <= 0:
                raise self._share_is_full()
            freed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_seconds, _LOOK_SECONDS)):
                    await freed.wait()

    def _share_is_full(self) -> RateLimited:
        return RateLimited(f"{self.max_caller_bytes / 1e6:.3g} MB at the same time", 1.0)

    def reserve(self, number: int, caller: str, body: Arriving | None = None) -> None:
        """Take so many bytes more, in place of slower bodies if need be.

        Args:
            number: How many.
            caller: Whose.
            body: The body that they belong to, if more of it is to come.

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

    def watch(self, body: Arriving) -> None:
        """Give a body up where others need its room, from now on."""
        self._arriving.add(body)

    def forget(self, body: Arriving) -> None:
        """Never give a body up again: it is whole or gone."""
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

    def _give_up_slowest(self, newest: Arriving | None, number: int) -> bool:
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

    def _cost(self, body: Arriving, now: float, more: int = 0) -> float:
        """Memory that a caller holds, times how long it will: byte seconds.

        Where only time counted, a flood that comes fast and then falls silent would be fast.
        """
        return max(1.0, body.seconds_left(now)) * (self._held_by.get(body.caller, 0) + more)


def _subtract(counts: dict[str, int], name: str, number: int) -> None:
    left = counts[name] - number
    if left:
        counts[name] = left
    else:
        del counts[name]
