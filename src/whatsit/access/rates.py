"""The number of requests that one caller may send in a time."""

import re
from dataclasses import dataclass

_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_RATE = re.compile(r"([0-9]{1,7})\s*/\s*(second|minute|hour|day)s?", re.IGNORECASE)


@dataclass(frozen=True)
class Rate:
    """The number of requests that one caller may send in a time.

    Example:
        >>> print(parse_rate("120/minute"))
        120 requests a minute
    """

    count: int
    unit: str

    @property
    def seconds(self) -> int:
        """Length of the time."""
        return _UNIT_SECONDS[self.unit]

    def __str__(self) -> str:
        noun = "request" if self.count == 1 else "requests"
        return f"{self.count:,} {noun} {'an' if self.unit == 'hour' else 'a'} {self.unit}"


def parse_rate(text: str) -> Rate:
    """Parse a text such as ``120/minute``.

    Raises:
        ValueError: The text is not a rate; the message is a sentence for people.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None or int(found[1]) < 1:
        raise ValueError(
            f"{text!r} is not a rate; write auto, off, or something like 120/minute "
            "(second, minute, hour or day)"
        )
    return Rate(int(found[1]), found[2].lower())
