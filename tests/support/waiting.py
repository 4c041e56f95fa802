"""Waiting for something to become true, with an end."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
"""Long enough for any machine: a test that passes does not wait for it."""


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether `condition` became true within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
