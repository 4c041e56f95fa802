"""Times as text: RFC 3339, in UTC, with a Z at the end."""

import time
from datetime import UTC, datetime
from typing import Literal


def format_time(seconds: float, precision: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """A moment as text.

    Args:
        seconds: Since 1970; what is finer than the precision is cut off.
        precision: How fine the text is.

    Raises:
        ValueError, OverflowError, OSError: No calendar has that moment.

    Example:
        >>> format_time(1_790_000_000.25)
        '2026-09-21T14:13:20Z'
        >>> format_time(1_790_000_000.25, "milliseconds")
        '2026-09-21T14:13:20.250Z'
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def utc_now(precision: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """The present moment as text; see `format_time`."""
    return format_time(time.time(), precision)
