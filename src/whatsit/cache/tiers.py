"""A fast tier in front of a shared one, in which no failure reaches the caller."""

import logging
from collections.abc import Callable

from whatsit.cache.base import CacheEntry, PredictionCache
from whatsit.errors import CacheError

_log = logging.getLogger(__name__)


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
        back: PredictionCache | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._front = front
        self._back = back
        self._on_failure = on_failure

    def get_fast(self, key: str) -> CacheEntry | None:
        """Ask only the tier in the process: no waiting, fit for an event loop."""
        return self._front.get(key)

    def get(self, key: str) -> CacheEntry | None:
        """Ask all tiers; what the shared one has is kept in front."""
        found = self._front.get(key)
        if found is None and self._back is not None:
            try:
                found = self._back.get(key)
            except CacheError as error:
                self._report(error)
            if found is not None:
                self._front.put(key, found)
        return found

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
        self._front.close()
        if self._back is not None:
            self._back.close()

    def _report(self, error: CacheError) -> None:
        _log.debug("cache: %s", error)
        self._on_failure()
