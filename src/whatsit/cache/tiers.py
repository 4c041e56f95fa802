"""A fast tier in front of a shared one, in which no failure reaches the caller."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from whatsit.cache.base import CacheEntry, PredictionCache, SharedCache
from whatsit.errors import CacheError, CacheFailure

_log = logging.getLogger(__name__)

_LOOKUP_THREADS = 4
"""Each waits for Redis most of the time; more than a few would only wait side by side."""


class TieredCache:
    """Asks the process first, then the shared tier; a failing tier counts as a miss.

    Args:
        front: In the process; never fails.
        back: Shared, may fail; None where there is none.
        on_failure: Called each time the shared tier fails.
    """

    def __init__(
        self,
        front: PredictionCache,
        back: SharedCache | None = None,
        on_failure: Callable[[CacheFailure], None] = lambda failure: None,
    ) -> None:
        self._front = front
        self._back = back
        self._on_failure = on_failure
        self._lookups = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="whatsit-lookup")

    def get_fast(self, key: str) -> CacheEntry | None:
        """Ask only the tier in the process: no waiting, fit for an event loop."""
        return self._front.get(key)

    def get_shared(self, key: str) -> "Future[CacheEntry | None]":
        """Ask the shared tier without waiting for it; its entry is then kept in front."""
        if self._back is None:
            nothing: Future[CacheEntry | None] = Future()
            nothing.set_result(None)
            return nothing
        return self._lookups.submit(self._ask_back, key)

    def get(self, key: str) -> CacheEntry | None:
        """Ask all tiers, one after the other."""
        found = self._front.get(key)
        return self._ask_back(key) if found is None else found

    def claim(self, key: str, seconds: float) -> tuple[CacheEntry | None, bool]:
        """Ask all tiers; where none has an entry, ask for the right to compute it.

        See `SharedCache.claim`. Where no shared tier can be asked, the right is always given.
        """
        found = self._front.get(key)
        if found is not None or self._back is None:
            return found, found is None
        try:
            found, leads = self._back.claim(key, seconds)
        except CacheError as error:
            self._report(error)
            return None, True
        if found is not None:
            self._front.put(key, found)
        return found, leads

    def put(self, key: str, entry: CacheEntry) -> None:
        """Keep an entry in all tiers that can."""
        self._front.put(key, entry)
        if self._back is not None:
            try:
                self._back.put(key, entry)
            except CacheError as error:
                self._report(error)

    def close(self) -> None:
        """Close all tiers."""
        self._lookups.shutdown()
        self._front.close()
        if self._back is not None:
            self._back.close()

    def _ask_back(self, key: str) -> CacheEntry | None:
        if self._back is None:
            return None
        try:
            found = self._back.get(key)
        except CacheError as error:
            self._report(error)
            return None
        if found is not None:
            self._front.put(key, found)
        return found

    def _report(self, error: CacheError) -> None:
        _log.debug("cache: %s", error)
        self._on_failure(error.failure)
