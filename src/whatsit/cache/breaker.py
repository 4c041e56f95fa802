"""A circuit breaker: stop calling a server that does not answer, and probe it periodically."""

import threading
import time
from collections.abc import Callable

_SLOW_IN_A_ROW = 3
"""One slow call may be a pause of our own; this many are the other side's."""


class CircuitBreaker:
    """Opens at the first failure; then lets one call through every `pause_seconds`.

    While it is open, callers go on at once instead of waiting for a time-out each.
    See Nygard, Release It!, 2nd edition, chapter 5. Three slow calls in a row open it as well,
    because a cache that takes longer than computing does not help.

    Args:
        pause_seconds: Between two probes.
        slow_seconds: A call that takes longer is a slow one.
        clock: Seconds that never go back.
        on_change: Called each time it opens (True) or closes (False).
    """

    def __init__(
        self,
        pause_seconds: float = 1.0,
        *,
        slow_seconds: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[bool], None] = lambda is_open: None,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._retry_at: float | None = None
        self._slow_in_a_row = 0

    @property
    def is_open(self) -> bool:
        """True if calls are held back at present."""
        return self._retry_at is not None

    def admits(self) -> bool:
        """True if the caller may go ahead. Ask once for each call: one caller gets the probe."""
        if self._retry_at is None:
            return True
        with self._lock:
            if self._retry_at is None:
                return True
            if self._clock() < self._retry_at:
                return False
            self._retry_at = self._clock() + self._pause_seconds
            return True

    def succeeded(self, elapsed_seconds: float = 0.0) -> None:
        """Record a successful call and its duration: the breaker closes if it was quick."""
        is_slow = elapsed_seconds > self._slow_seconds
        if not is_slow and self._slow_in_a_row == 0 and self._retry_at is None:
            return
        with self._lock:
            self._slow_in_a_row = self._slow_in_a_row + 1 if is_slow else 0
            if not is_slow:
                self._close()
            elif self._slow_in_a_row >= _SLOW_IN_A_ROW or self._retry_at is not None:
                self._open()

    def failed(self) -> None:
        """Record a failed call: the breaker opens, or stays open for another pause."""
        with self._lock:
            self._open()

    def _open(self) -> None:
        was_open, self._retry_at = self._retry_at is not None, self._clock() + self._pause_seconds
        if not was_open:
            self._on_change(True)

    def _close(self) -> None:
        was_open, self._retry_at = self._retry_at is not None, None
        if was_open:
            self._on_change(False)
