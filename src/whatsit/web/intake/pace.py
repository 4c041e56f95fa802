"""The pace at which a body arrives."""

_STILL_SECONDS = 1.0
"""A body that is silent for so long has a pace of 0, whatever arrived before."""
_LEAST_AGE_SECONDS = 0.25
"""Of a body whose pace is stated; before, a first small packet would say too much."""


class Pace:
    """How fast a body arrives, as the number of bytes in the last second.

    Args:
        begun: Time of the event loop.
    """

    __slots__ = ("_before", "_begun", "_in_second", "_last", "_second")

    def __init__(self, begun: float) -> None:
        self._begun = self._last = begun
        self._second = self._in_second = self._before = 0

    def count(self, size: int, now: float) -> None:
        """Count bytes that have just come."""
        if size:
            self._go_on_to(now)
            self._in_second += size
            self._last = now

    def is_known(self, now: float) -> bool:
        """True if it has lasted long enough to have one."""
        return now - self._begun >= _STILL_SECONDS

    def per_second(self, now: float) -> float:
        """As far as is known in its first second; 0 where nothing has come for a second."""
        if now - self._last >= _STILL_SECONDS:
            return 0.0
        age = now - self._begun
        if age < 1:
            return self._in_second / max(age, _LEAST_AGE_SECONDS)
        self._go_on_to(now)
        return self._in_second + self._before * (1 - age % 1)

    def _go_on_to(self, now: float) -> None:
        second = int(now - self._begun)
        if second != self._second:
            self._before = self._in_second if second == self._second + 1 else 0
            self._second, self._in_second = second, 0
