"""The tier in the process: no network, bounded, forgetful."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from whatsit.cache.base import CacheEntry


class MemoryCache:
    """Keeps the most recently used entries.

    Args:
        max_entries: How many, at most; each takes about 4 kB.
        ttl_seconds: How long each is kept.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        max_entries: int,
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, CacheEntry]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> CacheEntry | None:
        """See `PredictionCache.get`; never fails."""
        with self._lock:
            kept = self._entries.get(key)
            if kept is None:
                return None
            expires, entry = kept
            if self._clock() >= expires:
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry

    def put(self, key: str, entry: CacheEntry) -> None:
        """See `PredictionCache.put`; never fails. The least recently used entry makes room."""
        with self._lock:
            self._entries[key] = (self._clock() + self._ttl_seconds, entry)
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
