"""Counts of requests by caller and window of time: in the process, or in Redis for all of them."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Protocol

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from whatsit.cache.address import require_redis_address
from whatsit.cache.bounded import AnswerTooLong, AsyncBoundedParser
from whatsit.cache.breaker import CircuitBreaker
from whatsit.cache.reasons import explain
from whatsit.errors import CacheError, SettingsError

_MAX_TIMEOUT_SECONDS = 0.2
_CONNECTIONS = 8
_REMEMBERED_CALLERS = 10_000
_MOST_IN_FLIGHT = 10_000
"""Requests of all replicas that may be counted for a moment before they are refused."""
_MOST_DIGITS = 19
"""Digits of the largest count in Redis."""


@dataclass(frozen=True)
class Window:
    """A stretch of time in which requests are counted.

    Attributes:
        number: Which one since the epoch; the one before it counts too, by its share.
        seconds: Its length.
        elapsed_ratio: How much of it has passed, from 0 to below 1.
        limit: How many requests fit into one.
    """

    number: int
    seconds: int
    elapsed_ratio: float
    limit: int

    def has_room(self, current: int, previous: int) -> bool:
        """True if one more request fits, with so many in this window and in the one before."""
        return previous * (1 - self.elapsed_ratio) + current + 1 <= self.limit


@dataclass(frozen=True)
class Tally:
    """The requests that a caller has made, without the current one.

    Attributes:
        current: Requests in this window.
        previous: Requests in the window before it.
    """

    current: int
    previous: int


class Counters(Protocol):
    """Counts requests by caller."""

    async def count(self, caller: str, window: Window) -> Tally:
        """Return what `caller` has used, and add one request to it if it still fits."""
        ...


class ProcessCounters:
    """Counts in this process only; forgets all but two windows.

    Args:
        max_callers: In one window; beyond it the one that came first is forgotten.
    """

    def __init__(self, max_callers: int = 50_000) -> None:
        self._max_callers = max_callers
        self._windows: dict[int, dict[str, int]] = {}

    async def count(self, caller: str, window: Window) -> Tally:
        """See `Counters.count`. Never waits."""
        return self.add(caller, window)

    def add(self, caller: str, window: Window) -> Tally:
        """As `count`."""
        tally = self.tally(caller, window)
        if window.has_room(tally.current, tally.previous):
            counts = self._counts(window)
            if tally.current == 0 and len(counts) >= self._max_callers:
                del counts[next(iter(counts))]
            counts[caller] = tally.current + 1
        return tally

    def tally(self, caller: str, window: Window) -> Tally:
        """Return what `caller` has used; adds nothing to it."""
        current = self._counts(window).get(caller, 0)
        return Tally(current, self._windows[window.number - 1].get(caller, 0))

    def _counts(self, window: Window) -> dict[str, int]:
        if window.number not in self._windows:
            self._windows = {
                window.number: {},
                window.number - 1: self._windows.get(window.number - 1, {}),
            }
        return self._windows[window.number]


class RedisCounters:
    """Counts in Redis, for all processes and replicas that share it.

    Uses INCRBY, EXPIRE and GET on keys ``<namespace>:rate:<window>:<digest>``, which live for
    two windows. The digest is the caller's, salted with the window: no address is stored, and none
    can be followed from one window to the next. Anyone who may read Redis could still try out
    all IPv4 addresses while the keys live.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        namespace: Prefix of all keys.
        timeout_seconds: For everything a request waits for here; at most 0.2.
        breaker: Holds calls back while Redis fails.

    Raises:
        SettingsError: The address is of no known form.
    """

    def __init__(
        self,
        url: str,
        namespace: str,
        timeout_seconds: float = _MAX_TIMEOUT_SECONDS,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._prefix = f"{namespace}:rate:"
        self._timeout_seconds = min(timeout_seconds, _MAX_TIMEOUT_SECONDS)
        self._breaker = breaker or CircuitBreaker()
        try:
            require_redis_address(url)
        except ValueError as error:
            raise SettingsError(f"WHATSIT_REDIS_URL: {error}.") from error
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=self._timeout_seconds,
            socket_connect_timeout=self._timeout_seconds,
            socket_timeout=self._timeout_seconds,
            parser_class=AsyncBoundedParser,
            # One more try, for connections that a restart of Redis has left behind dead.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._client = Redis.from_pool(pool)
        self._ended: dict[str, int] = {}
        self._stragglers: set[asyncio.Task[Tally]] = set()

    async def count(self, caller: str, window: Window) -> Tally:
        """See `Counters.count`.

        Raises:
            CacheError: Redis can't be asked, or refuses.
        """
        if not self._breaker.admits():
            raise CacheError("Redis gets no requests for a moment after a failure.")
        try:
            tally = await self._count_in_time(caller, window)
        except redis.ResponseError as error:
            self._breaker.succeeded()
            raise CacheError(explain(error).sentence, "refused") from error
        except AnswerTooLong as error:
            self._breaker.succeeded()
            raise _not_a_count() from error
        except (redis.RedisError, OSError, TimeoutError, ValueError) as error:
            self._breaker.failed()
            raise CacheError(explain(error).sentence) from error
        self._breaker.succeeded()
        return tally

    async def close(self) -> None:
        """Close the connections; the counts stay until they expire."""
        await asyncio.gather(*self._stragglers, return_exceptions=True)
        await self._client.aclose()

    async def _count_in_time(self, caller: str, window: Window) -> Tally:
        # One limit around all of it: a free connection, connecting, both trips. It does not wait
        # for the cancelled work to end, because the client can swallow a cancellation that comes
        # together with its own time-out, and then wait again.
        work = asyncio.create_task(self._count(caller, window))
        try:
            await asyncio.wait({work}, timeout=self._timeout_seconds)
        finally:
            if not work.done():
                work.cancel()
                self._stragglers.add(work)
                work.add_done_callback(self._forget)
        if not work.done():
            raise TimeoutError
        return work.result()

    def _forget(self, work: asyncio.Task[Tally]) -> None:
        self._stragglers.discard(work)
        if not work.cancelled():
            work.exception()  # looked at, so that it is not reported as lost

    async def _count(self, caller: str, window: Window) -> Tally:
        key = self._key(caller, window.number)
        before = self._ended.get(key)
        if before is None:
            async with self._client.pipeline(transaction=False) as trip:
                trip.incrby(key, 1)
                trip.expire(key, 2 * window.seconds)
                trip.get(self._key(caller, window.number - 1))
                with_this, _, stored = await trip.execute()
            # The window before has ended, so its count stays as it is: asked for once.
            # Anyone who can write to Redis can put anything there.
            before = _as_count(stored, window)
            if len(self._ended) >= _REMEMBERED_CALLERS:
                self._ended.clear()
            self._ended[key] = before
        else:
            with_this = await self._client.incrby(key, 1)
            if with_this == 1:  # Redis has lost the key, and its time to live with it
                await self._client.expire(key, 2 * window.seconds)
        if not 1 <= with_this <= window.limit + _MOST_IN_FLIGHT:
            raise _not_a_count()
        tally = Tally(with_this - 1, before)
        if not window.has_room(tally.current, tally.previous):
            await self._client.incrby(key, -1)
        return tally

    def _key(self, caller: str, window_number: int) -> str:
        salt = window_number.to_bytes(8, "big", signed=True)
        digest = hashlib.blake2b(caller.encode(), key=salt, digest_size=12).hexdigest()
        return f"{self._prefix}{window_number}:{digest}"


def _as_count(stored: bytes | None, window: Window) -> int:
    """The count of the window before; 0 where Redis holds something else."""
    if stored is None or not stored.isdigit() or len(stored) > _MOST_DIGITS:
        return 0
    count = int(stored)
    return count if count <= window.limit + _MOST_IN_FLIGHT else 0


def _not_a_count() -> CacheError:
    return CacheError("A count in Redis was not written by whatsit.", "damaged")
