"""The threads that decode and infer, and the bounded queue in front of them."""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from whatsit.errors import Overloaded

_Result = TypeVar("_Result")

DEFAULT_MAX_QUEUE = 64
DEFAULT_MAX_WAIT_SECONDS = 0.5

_ALWAYS_WAITING = 16
"""A few clients are no overload, however slow a machine that has just started is."""
_NICENESS = 5
"""A thread with 0 gets three times the share of one with 5."""
_MEMORY_RATIO = 0.9
"""How much of the old average stays when a new duration comes in."""


def give_way() -> None:
    """Let the other threads of the process go first from now on, and those it starts go with it.

    Computing takes all the processor there is. Taking requests in, answering known pictures and
    refusing what is too much takes little of it, but needs it at once. Where the whole process is
    to go last already (``nice``), or the system refuses, the priority stays as it is.
    """
    if sys.platform != "linux":  # elsewhere the priority is that of the whole process
        return
    thread = threading.get_native_id()
    with suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)


class Workers:
    """Does so much at a time, lets so much wait, and refuses the rest at once.

    A queue that grows without bound answers everybody late. This one is bounded twice: by the
    number that wait and, once there are more than a few, by how long the last of them would wait
    at the speed seen lately.

    Args:
        count: How many pictures are worked on at the same time.
        max_queue: How many may wait for that.
        max_wait_seconds: How long the last of them may be expected to wait.
    """

    def __init__(
        self,
        count: int,
        *,
        max_queue: int = DEFAULT_MAX_QUEUE,
        max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS,
    ) -> None:
        self._count = count
        self._max_queue = max_queue
        self._max_wait_seconds = max_wait_seconds
        self._pool = ThreadPoolExecutor(
            count, thread_name_prefix="whatsit-worker", initializer=give_way
        )
        self._lock = threading.Lock()
        self._waiting = 0
        self._running = 0
        self._usual_seconds = 0.0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting

    @property
    def running(self) -> int:
        """How many are worked on now."""
        return self._running

    def require_room(self) -> None:
        """Refuse now what `submit` would refuse now.

        Raises:
            Overloaded: Too many wait already.
        """
        # A free thread takes its work at once, whatever the last ones took.
        is_full = self._running + self._waiting >= self._count + self._max_queue
        expected_seconds = self._waiting * self._usual_seconds / self._count
        is_late = self._waiting >= _ALWAYS_WAITING and expected_seconds > self._max_wait_seconds
        if is_full or is_late:
            raise Overloaded(max(1.0, expected_seconds))

    def submit(self, work: Callable[[], _Result]) -> "Future[_Result]":
        """Queue `work`. Cancelling its future before it began gives its place back.

        Raises:
            Overloaded: Too many wait already.
        """
        with self._lock:
            self.require_room()
            self._waiting += 1
        future = self._pool.submit(self._run, work)
        future.add_done_callback(self._give_back_if_cancelled)
        return future

    def close(self) -> None:
        """Finish what runs and what waits; take no more."""
        self._pool.shutdown()

    def _run(self, work: Callable[[], _Result]) -> _Result:
        with self._lock:
            self._waiting -= 1
            self._running += 1
        start = time.perf_counter()
        try:
            return work()
        finally:
            elapsed = time.perf_counter() - start
            with self._lock:
                self._running -= 1
                older = self._usual_seconds or elapsed
                self._usual_seconds = _MEMORY_RATIO * older + (1 - _MEMORY_RATIO) * elapsed

    def _give_back_if_cancelled(self, future: "Future[_Result]") -> None:
        if future.cancelled():
            with self._lock:
                self._waiting -= 1
