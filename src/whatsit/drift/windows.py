"""The pictures that are compared with a reference: the latest ones, and those of the last hours."""

from collections import deque
from dataclasses import dataclass

RECENT_PICTURES = 1000
HOURS = 24
_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """The pictures of a window, counted.

    Attributes:
        pictures: How many.
        since: When the first of them was answered, seconds since 1970; None without any.
        counts: Pictures in each bin, of all signals one after the other.
    """

    pictures: int
    since: float | None
    counts: tuple[int, ...]

    def joined(self, other: "WindowCounts") -> "WindowCounts":
        """Both together; they have the same bins."""
        times = [since for since in (self.since, other.since) if since is not None]
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return WindowCounts(self.pictures + other.pictures, min(times, default=None), counts)


class RecentPictures:
    """The latest pictures, however long ago they were. A picture counts once among them.

    Args:
        bins: How many bins there are.
        most: How many pictures to keep; each takes a few hundred bytes.
    """

    def __init__(self, bins: int, most: int = RECENT_PICTURES) -> None:
        self._counts = [0] * bins
        self._most = most
        self._pictures: deque[tuple[float, str, tuple[int, ...]]] = deque()
        self._known: set[str] = set()

    def holds(self, sha256: str) -> bool:
        """True if this picture is among them."""
        return sha256 in self._known

    def add(self, sha256: str, where: tuple[int, ...], now: float) -> None:
        """Count a picture, and no longer the oldest one if there are too many."""
        self._pictures.append((now, sha256, where))
        self._known.add(sha256)
        for number in where:
            self._counts[number] += 1
        if len(self._pictures) > self._most:
            _, oldest, gone = self._pictures.popleft()
            self._known.discard(oldest)
            for number in gone:
                self._counts[number] -= 1

    def counts(self) -> WindowCounts:
        """The counts of now."""
        since = self._pictures[0][0] if self._pictures else None
        return WindowCounts(len(self._pictures), since, tuple(self._counts))


@dataclass(slots=True)
class _Hour:
    number: int
    since: float
    pictures: int
    counts: list[int]


class HourlyPictures:
    """The pictures of the last hours, the present one included.

    Args:
        bins: How many bins there are.
        hours: How many to keep.
    """

    def __init__(self, bins: int, hours: int = HOURS) -> None:
        self._bins = bins
        self._hours: deque[_Hour] = deque(maxlen=hours)
        self._most = hours

    def add(self, where: tuple[int, ...], now: float) -> None:
        """Count a picture."""
        number = int(now // _HOUR_SECONDS)
        # A clock that was set back continues in the hour that it had reached.
        if not self._hours or self._hours[-1].number < number:
            self._hours.append(_Hour(number, now, 0, [0] * self._bins))
        hour = self._hours[-1]
        hour.pictures += 1
        for place in where:
            hour.counts[place] += 1

    def counts(self, now: float) -> WindowCounts:
        """The counts of now."""
        oldest = int(now // _HOUR_SECONDS) - self._most
        joined = WindowCounts(0, None, (0,) * self._bins)
        for hour in self._hours:
            if hour.number > oldest:
                joined = joined.joined(WindowCounts(hour.pictures, hour.since, tuple(hour.counts)))
        return joined
