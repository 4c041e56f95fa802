"""One writer at a time, among threads and processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Wait until nobody else holds the file `lock`, and hold it during the block.

    Its folder exists. The file stays behind: deleting it would let two in at once.
    """
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
