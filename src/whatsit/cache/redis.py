"""The tier in Redis or Valkey: shared by all replicas, trusted by none."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.retry import Retry

from whatsit.cache.address import require_redis_address
from whatsit.cache.base import CacheEntry
from whatsit.cache.bounded import AnswerTooLong, BoundedParser
from whatsit.cache.breaker import CircuitBreaker
from whatsit.cache.codec import Seal, decode_entry, encode_entries
from whatsit.cache.key import build_prefix, parse_cache_key
from whatsit.cache.reasons import SLOW, Trouble, explain
from whatsit.errors import CacheError, SettingsError

_Result = TypeVar("_Result")
_Part = Literal["line", "reading", "writing"]
"""The functions of Redis that can fail separately; the connection is part of each."""

LEASE = ":lease"
"""Suffix to the key of an entry: a process is computing it."""

_PROBE = "probe"
_AT_ONCE = 500
"""Keys walked or deleted in one step."""
_TTL_JITTER_RATIO = 0.1
"""Entries written together do not all expire together."""


class RedisCache:
    """Predictions and heat maps in a Redis that may be slow, full, empty, damaged or gone.

    Args:
        client: Made by `connect`; closed with the cache.
        ttl_seconds: How long an entry is kept, give or take a tenth.
        breaker: Holds calls back while Redis fails.
        seal: Seals the entries; a checksum if left out.
        on_trouble: Called with the reason why Redis refuses or fails, whenever it changes; with
            None when Redis works again.
    """

    def __init__(
        self,
        client: redis.Redis,
        ttl_seconds: int,
        breaker: CircuitBreaker | None = None,
        seal: Seal | None = None,
        on_trouble: Callable[[Trouble | None], None] = lambda trouble: None,
    ) -> None:
        self._client = client
        self._lines = _Lines(client)
        self._ttl_seconds = ttl_seconds
        self._breaker = breaker or CircuitBreaker()
        self._seal = seal or Seal()
        self._on_trouble = on_trouble
        self._troubles: dict[_Part, Trouble] = {}
        self._troubles_lock = threading.Lock()

    @property
    def trouble(self) -> Trouble | None:
        """The reason why the last command failed; None if it succeeded."""
        parts: tuple[_Part, ...] = ("line", "reading", "writing")
        return next((self._troubles[part] for part in parts if part in self._troubles), None)

    def ping(self) -> bool:
        """True if Redis answers now; bounded by the client's time-outs."""
        try:
            self._call(self._client.ping)
        except CacheError:
            return False
        return True

    def try_writing(self, namespace: str) -> bool:
        """True if Redis stores entries; it forgets what this writes at once.

        Without it, a replica or a full Redis would go unnoticed until there is an answer.
        """
        mark = ("SET", f"{build_prefix(namespace)}{_PROBE}", b"", "PX", 1)
        try:
            self._call(lambda: self._lines.ask(mark), "writing")
        except CacheError:
            return False
        return True

    def require_single(self) -> None:
        """Refuse a node of a cluster, which knows only a part of the keys.

        Raises:
            SettingsError: It is one. A server that does not answer or say is not.
        """
        try:
            facts = self._call(lambda: self._client.info("cluster"), None)
        except CacheError:
            return
        if facts.get("cluster_enabled"):
            raise SettingsError(
                "The Redis at WHATSIT_REDIS_URL is a node of a cluster, which is not supported. "
                "Give the address of one server, or of a proxy before the cluster."
            )

    def get(self, key: str) -> CacheEntry | None:
        """See `PredictionCache.get`. A damaged or foreign entry is deleted, then reported.

        Raises:
            CacheError: Redis can't be asked, or held something else.
        """
        place = self._seal.place(key)
        try:
            (stored,) = self._call(lambda: self._lines.ask(("GET", place)))
        except _Foreign:
            self._discard(place)
            raise
        return self._decode(key, place, stored)

    def claim(self, key: str, seconds: float) -> tuple[CacheEntry | None, bool]:
        """See `SharedCache.claim`. A damaged or foreign entry is deleted, then reported.

        Raises:
            CacheError: Redis can't be asked, or held something else.
        """
        # One round trip. The lease lies beside the entry and ends by itself.
        place = self._seal.place(key)
        lease = ("SET", f"{place}{LEASE}", b"", "NX", "PX", max(1, round(seconds * 1000)))
        try:
            stored, leads = self._call(
                lambda: self._lines.ask(("GET", place), lease, refusals=True)
            )
            if isinstance(stored, redis.ResponseError):
                raise _refusal(stored)
        except _Foreign:
            self._discard(place)
            raise
        # Where a lease can't be written (full, no right), everybody computes.
        if isinstance(leads, redis.ResponseError):
            self._note("writing", explain(leads))
        return self._decode(key, place, stored), leads is not None

    def put(self, key: str, entry: CacheEntry) -> None:
        """See `PredictionCache.put`.

        Raises:
            CacheError: Redis is unreachable, full or read-only.
        """
        self.put_all([(key, entry)])

    def put_all(self, entries: Sequence[tuple[str, CacheEntry]]) -> None:
        """See `SharedCache.put_all`.

        Raises:
            CacheError: Redis is unreachable, full or read-only.
        """
        commands = [
            ("SET", self._seal.place(key), value, "EX", self._jittered_seconds())
            for key, value in encode_entries(entries, self._seal)
        ]
        if commands:
            self._call(lambda: self._lines.ask(*commands), "writing")

    def _jittered_seconds(self) -> int:
        spread = self._ttl_seconds * _TTL_JITTER_RATIO
        return max(1, round(self._ttl_seconds + random.uniform(-spread, spread)))

    def count(self, namespace: str) -> Mapping[str, int]:
        """How many entries there are of each model; see `parse_cache_key`.

        Raises:
            CacheError: Redis can't be asked.
        """
        return Counter(model for _, model in self._entries(namespace))

    def clear(self, namespace: str) -> int:
        """Delete the entries of a namespace, and nothing else; say how many there were.

        Raises:
            CacheError: Redis can't be asked, or refused.
        """
        cleared = 0
        entries = self._entries(namespace)
        while some := [key for key, _ in islice(entries, _AT_ONCE)]:
            cleared += self._call(partial(self._client.unlink, *some))
        return cleared

    def _entries(self, namespace: str) -> Iterator[tuple[str, str]]:
        # Walks to the very end, in steps that do not delay other clients.
        keys = self._client.scan_iter(f"{build_prefix(namespace)}*", count=_AT_ONCE)
        while (found := self._call(lambda: next(keys, None))) is not None:
            key = found.decode(errors="replace")
            model = parse_cache_key(namespace, key)
            if model is not None:
                yield key, model

    def close(self) -> None:
        """Close the connections; the entries stay."""
        self._lines.close()
        self._client.close()

    def _decode(self, key: str, place: str, stored: Any) -> CacheEntry | None:
        if stored is None:
            return None
        try:
            return decode_entry(key, stored, self._seal)
        except CacheError:
            self._discard(place)
            raise

    def _discard(self, place: str) -> None:
        self._call(lambda: self._client.delete(place), None)

    def _call(self, command: Callable[[], _Result], part: _Part | None = "reading") -> _Result:
        """Run a command and record if that function works; None where that says nothing."""
        if not self._breaker.admits():
            raise CacheError("Redis gets no requests for a moment after a failure.", "paused")
        start = time.monotonic()
        try:
            result = command()
        except redis.ResponseError as error:
            # Redis answered, so it is alive; it only refuses this (full, read-only, no right).
            self._breaker.succeeded()
            refusal = _refusal(error)
            if part is not None and refusal.failure == "refused":
                self._note(part, explain(error))
            raise refusal from error
        except AnswerTooLong as error:
            self._breaker.succeeded()
            raise _Foreign("A cached value is longer than any entry.", "damaged") from error
        except (redis.RedisError, OSError) as error:
            self._breaker.failed()
            trouble = explain(error)
            self._note("line", trouble)
            raise CacheError(trouble.sentence) from error
        self._breaker.succeeded(time.monotonic() - start)
        if self._breaker.is_open:
            self._note("line", SLOW)
        elif self._troubles:
            self._note("line", None)
            if part is not None:
                self._note(part, None)
        return result

    def _note(self, part: _Part, trouble: Trouble | None) -> None:
        with self._troubles_lock:
            before = self.trouble
            if trouble is None:
                self._troubles.pop(part, None)
            else:
                self._troubles[part] = trouble
            after = self.trouble
        if after != before:
            self._on_trouble(after)


class _Lines:
    """Connections of a client, for the few commands that every picture takes.

    The client's own calls keep books on pools, connections and commands, which is about a third
    of the processor time of a trip. Connecting, signing in, TLS and time-outs are the client's
    here too.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._idle: deque[ConnectionInterface] = deque()

    def ask(self, *commands: Sequence[Any], refusals: bool = False) -> list[Any]:
        """Send the commands in one go and wait for all answers.

        Args:
            commands: The words of each.
            refusals: True to return an error in place of an answer that Redis refuses.

        Raises:
            redis.RedisError: Redis does not answer, or refuses and `refusals` is not set.
        """
        try:
            line = self._idle.pop()
        except IndexError:
            line = self._pool.make_connection()
        try:
            try:
                answers = self._exchange(line, commands)
            except redis.ConnectionError:
                # Any failure closes the connection. A restart of Redis has left this one dead.
                answers = self._exchange(line, commands)
        finally:
            self._idle.append(line)
        if not refusals:
            for answer in answers:
                if isinstance(answer, redis.ResponseError):
                    raise answer
        return answers

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().disconnect()  # type: ignore[no-untyped-call]

    @staticmethod
    def _exchange(line: ConnectionInterface, commands: Sequence[Sequence[Any]]) -> list[Any]:
        line.send_packed_command(line.pack_commands(commands))  # type: ignore[no-untyped-call]
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(line.read_response())
            except redis.ResponseError as refusal:
                answers.append(refusal)
        return answers


class _Foreign(CacheError):
    """The key holds a list, a hash or the like, or more bytes than are read."""


def _refusal(error: redis.ResponseError) -> CacheError:
    if str(error).startswith("WRONGTYPE"):
        return _Foreign("A cached value has another type.", "damaged")
    return CacheError(explain(error).sentence, "refused")


def connect(url: str, *, timeout_seconds: float) -> redis.Redis:
    """A client for `RedisCache`. Nothing is sent until it is used.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password if needed.
        timeout_seconds: For connecting, and again for each answer.

    Raises:
        SettingsError: The address is of no known form, or of a cluster or Sentinel.
    """
    try:
        require_redis_address(url)
    except ValueError as error:
        raise SettingsError(f"WHATSIT_REDIS_URL: {error}.") from error
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        parser_class=BoundedParser,
        # One more try, for connections that a restart of Redis has left behind dead.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
