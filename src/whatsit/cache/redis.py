"""The tier in Redis or Valkey: shared by all replicas, trusted by none."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from whatsit.cache.base import CacheEntry
from whatsit.cache.breaker import CircuitBreaker
from whatsit.cache.codec import decode_entry, encode_entry
from whatsit.errors import CacheError, SettingsError

_Result = TypeVar("_Result")

LEASE = ":lease"
"""Behind the key of an entry: somebody is computing it."""

_TTL_JITTER_RATIO = 0.1
"""Entries written together do not all expire together."""


class RedisCache:
    """Predictions and heat maps in a Redis that may be slow, full, empty, damaged or gone.

    Args:
        client: Made by `connect`; closed with the cache.
        ttl_seconds: How long an entry is kept, give or take a tenth.
        breaker: Holds calls back while Redis fails.
    """

    def __init__(
        self, client: redis.Redis, ttl_seconds: int, breaker: CircuitBreaker | None = None
    ) -> None:
        self._client = client
        self._ttl_seconds = ttl_seconds
        self._breaker = breaker or CircuitBreaker()

    def ping(self) -> bool:
        """Whether Redis answers now; bounded by the client's time-outs."""
        try:
            self._call(self._client.ping)
        except CacheError:
            return False
        return True

    def get(self, key: str) -> CacheEntry | None:
        """See `PredictionCache.get`. A damaged or foreign entry is deleted, then reported.

        Raises:
            CacheError: Redis can't be asked, or held something else.
        """
        try:
            stored = self._call(lambda: self._client.get(key))
        except _WrongType:
            self._discard(key)
            raise
        return self._decode(key, stored)

    def claim(self, key: str, seconds: float) -> tuple[CacheEntry | None, bool]:
        """See `SharedCache.claim`. A damaged or foreign entry is deleted, then reported.

        Raises:
            CacheError: Redis can't be asked, or held something else.
        """

        def ask() -> list[Any]:
            # One round trip. The lease lies beside the entry and ends by itself.
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.get(key)
                pipeline.set(f"{key}{LEASE}", b"", nx=True, px=max(1, round(seconds * 1000)))
                return pipeline.execute(raise_on_error=False)

        stored, leads = self._call(ask)
        if isinstance(stored, redis.ResponseError):
            self._discard(key)
            raise _refusal(stored)
        # Where a lease can't be written (full, no right), everybody computes.
        return self._decode(key, stored), bool(leads)

    def put(self, key: str, entry: CacheEntry) -> None:
        """See `PredictionCache.put`.

        Raises:
            CacheError: Redis is unreachable, full or read-only.
        """
        spread = self._ttl_seconds * _TTL_JITTER_RATIO
        seconds = max(1, round(self._ttl_seconds + random.uniform(-spread, spread)))
        value = encode_entry(key, entry)
        self._call(lambda: self._client.set(key, value, ex=seconds))

    def close(self) -> None:
        """Close the connections; the entries stay."""
        self._client.close()

    def _decode(self, key: str, stored: Any) -> CacheEntry | None:
        if stored is None:
            return None
        try:
            return decode_entry(key, stored)
        except CacheError:
            self._discard(key)
            raise

    def _discard(self, key: str) -> None:
        self._call(lambda: self._client.delete(key))

    def _call(self, command: Callable[[], _Result]) -> _Result:
        if not self._breaker.admits():
            raise CacheError("Redis is left alone for a moment after a failure.", "paused")
        start = time.monotonic()
        try:
            result = command()
        except redis.ResponseError as error:
            # Redis answered, so it lives; it just will not do this (full, read-only, no right).
            self._breaker.succeeded()
            raise _refusal(error) from error
        except (redis.RedisError, OSError) as error:
            self._breaker.failed()
            raise CacheError(f"Redis does not answer: {type(error).__name__}") from error
        self._breaker.succeeded(time.monotonic() - start)
        return result


class _WrongType(CacheError):
    """The key holds a list, a hash or the like."""


def _refusal(error: redis.ResponseError) -> CacheError:
    if str(error).startswith("WRONGTYPE"):
        return _WrongType("A cached value is of another type.", "damaged")
    return CacheError(f"Redis refused: {error}", "refused")


def connect(url: str, *, timeout_seconds: float) -> redis.Redis:
    """A client for `RedisCache`. Nothing is sent until it is used.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password if needed.
        timeout_seconds: For connecting, and again for each answer.

    Raises:
        SettingsError: The address is of no known form.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            # One more try, for connections that a restart of Redis has left behind dead.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
    except ValueError as error:
        raise SettingsError(
            "WHATSIT_REDIS_URL must look like redis://user:password@host:6379/0 "
            "(or rediss://, or unix:///path)."
        ) from error
