"""A circuit breaker: stop asking what does not answer, and look again from time to time."""

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Opens at the first failure; then lets one call through every `pause_seconds`.

    While it is open, callers go on at once instead of waiting for a time-out each.
    See Nygard, Release It!, 2nd edition, chapter 5.
    """

    def __init__(
        self, pause_seconds: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are held back at present."""
        return self._retry_at is not None

    def admits(self) -> bool:
        """Whether to make this call. Ask once for each call: a probe is given to one caller."""
        if self._retry_at is None:
            return True
        with self._lock:
            if self._retry_at is None:
                return True
            if self._clock() < self._retry_at:
                return False
            self._retry_at = self._clock() + self._pause_seconds
            return True

    def succeeded(self) -> None:
        """Tell that a call went well: the breaker closes."""
        if self._retry_at is not None:
            with self._lock:
                self._retry_at = None

    def failed(self) -> None:
        """Tell that a call failed: the breaker opens, or stays open for another pause."""
        with self._lock:
            self._retry_at = self._clock() + self._pause_seconds
