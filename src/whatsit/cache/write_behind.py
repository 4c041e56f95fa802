"""Writing to a slow tier after the answer has left."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from whatsit.cache.base import CacheEntry, SharedCache
from whatsit.errors import CacheError, CacheFailure

_QUEUE_LENGTH = 1_000
_MOST_AT_ONCE = 100
_CLOSE_SECONDS = 2.0
_GATHER_SECONDS = 0.02
"""The least time between two trips: under load each takes several answers along."""


class WriteBehind:
    """Reads from a tier at once, and writes to it from a thread of its own.

    A request waits neither until its answer is stored nor for the time-out of an unreachable
    tier. When more writes wait than the queue holds, new ones are dropped.

    Args:
        tier: The slow tier.
        on_failure: Called each time a write fails or is dropped.
    """

    def __init__(
        self,
        tier: SharedCache,
        on_failure: Callable[[CacheFailure], None] = lambda failure: None,
    ) -> None:
        self._tier = tier
        self._on_failure = on_failure
        self._waiting: queue.Queue[tuple[str, CacheEntry] | None] = queue.Queue(_QUEUE_LENGTH)
        self._writer = threading.Thread(target=self._write, name="whatsit-cache", daemon=True)
        self._writer.start()

    def get(self, key: str) -> CacheEntry | None:
        """See `PredictionCache.get`."""
        return self._tier.get(key)

    def claim(self, key: str, seconds: float) -> tuple[CacheEntry | None, bool]:
        """See `SharedCache.claim`."""
        return self._tier.claim(key, seconds)

    def put(self, key: str, entry: CacheEntry) -> None:
        """Store soon; never fails and never waits."""
        try:
            self._waiting.put_nowait((key, entry))
        except queue.Full:
            self._on_failure("dropped")

    def put_all(self, entries: Sequence[tuple[str, CacheEntry]]) -> None:
        """Store soon; never fails and never waits."""
        for key, entry in entries:
            self.put(key, entry)

    def close(self) -> None:
        """Write what is waiting, within two seconds, and close the tier."""
        try:
            self._waiting.put(None, timeout=_CLOSE_SECONDS)
            self._writer.join(_CLOSE_SECONDS)
        except queue.Full:
            self._on_failure("dropped")
        self._tier.close()

    def _write(self) -> None:
        left_at = float("-inf")
        while (first := self._waiting.get()) is not None:
            entries, is_last = [first], False
            # Later writes join this trip: many in one trip cost little more than one. The
            # first after a pause leaves at once, for other processes may wait for it.
            time.sleep(max(0.0, left_at + _GATHER_SECONDS - time.monotonic()))
            with suppress(queue.Empty):
                while len(entries) < _MOST_AT_ONCE and not is_last:
                    following = self._waiting.get_nowait()
                    is_last = following is None
                    if following is not None:
                        entries.append(following)
            left_at = time.monotonic()
            try:
                self._tier.put_all(entries)
            except CacheError as error:
                self._on_failure(error.failure)
            if is_last:
                return
