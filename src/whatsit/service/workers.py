"""The threads that decode and infer, and the bounded queue in front of them."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from whatsit.errors import Overloaded

_Result = TypeVar("_Result")

DEFAULT_MAX_QUEUE = 64
DEFAULT_MAX_WAIT_SECONDS = 0.5

_ALWAYS_WAITING = 16
"""A few clients are not an overload, even on a machine that has just started and is slow."""
_NICENESS = 5
"""A thread with 0 gets three times the share of one with 5."""
_MEMORY_RATIO = 0.9
"""How much of the old average stays when a new duration comes in."""


def give_way() -> None:
    """Let the other threads of the process go first from now on, and those it starts go with it.

    Computing takes all the processor there is. Receiving requests, answering known pictures and
    refusing an overload takes little of it, but needs it at once. Where the whole process is
    to go last already (``nice``), or the system refuses, the priority stays as it is.
    """
    if sys.platform != "linux":  # elsewhere the priority is that of the whole process
        return
    thread = threading.get_native_id()
    with suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)


@dataclass(slots=True, eq=False)
class _Entry:
    """A piece of work that waits for a thread."""

    work: Callable[[], Any]
    is_abandoned: Callable[[], bool]
    future: "Future[Any]" = field(default_factory=Future)

    @property
    def is_wanted(self) -> bool:
        return not (self.future.cancelled() or self.is_abandoned())


class Workers:
    """Does so much at a time, lets so much wait, and refuses the rest at once.

    A queue that grows without bound answers every caller late. This one is bounded twice: by the
    number that wait and, once there are more than a few, by how long the last of them would wait
    at the speed seen lately. Abandoned work takes no place: the queue drops it when
    it comes to it, or earlier where others would be refused because of it.

    Args:
        count: How many pictures are in progress at the same time.
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
        # Dropping work may call a callback that asks about the queue.
        self._lock = threading.RLock()
        self._queue: deque[_Entry] = deque()
        self._running = 0
        self._usual_seconds = 0.0

    @property
    def waiting(self) -> int:
        """How many wait now and are still wanted."""
        with self._lock:
            self._drop_unwanted()
            return len(self._queue)

    @property
    def running(self) -> int:
        """How many are worked on now."""
        return self._running

    def require_room(self) -> None:
        """Refuse now what `submit` would refuse now.

        Raises:
            Overloaded: Too many wait already.
        """
        if not self._is_full:
            return
        with self._lock:
            self._drop_unwanted()
            if self._is_full:
                raise Overloaded(max(1.0, self._expected_seconds))

    def submit(
        self, work: Callable[[], _Result], is_abandoned: Callable[[], bool] = lambda: False
    ) -> "Future[_Result]":
        """Queue `work`.

        Args:
            work: Called once, in one of the threads, unless it is dropped before.
            is_abandoned: True as soon as no caller needs the work; it then stays true.

        Returns:
            What the work returns or raises. To cancel it before it began gives its place back at
            once; work that was abandoned is cancelled when it is dropped.

        Raises:
            Overloaded: Too many wait already.
        """
        entry = _Entry(work, is_abandoned)
        with self._lock:
            self.require_room()
            # The thread that takes it has to wait for the lock, so it finds it in the queue.
            self._pool.submit(self._do_next)
            self._queue.append(entry)
        return entry.future

    def close(self) -> None:
        """Finish what runs and what waits; take no more."""
        self._pool.shutdown()

    @property
    def _expected_seconds(self) -> float:
        return len(self._queue) * self._usual_seconds / self._count

    @property
    def _is_full(self) -> bool:
        # A free thread takes its work at once, whatever the last ones took.
        waiting = len(self._queue)
        if self._running + waiting >= self._count + self._max_queue:
            return True
        return waiting >= _ALWAYS_WAITING and self._expected_seconds > self._max_wait_seconds

    def _drop_unwanted(self) -> None:
        wanted: deque[_Entry] = deque()
        unwanted: list[_Entry] = []
        for entry in self._queue:
            (wanted if entry.is_wanted else unwanted).append(entry)
        self._queue = wanted
        for entry in unwanted:
            entry.future.cancel()

    def _take(self) -> _Entry | None:
        """The next entry that is wanted, now running; None where the others were dropped."""
        with self._lock:
            while self._queue:
                entry = self._queue.popleft()
                if entry.is_abandoned():
                    entry.future.cancel()
                if entry.future.set_running_or_notify_cancel():
                    self._running += 1
                    return entry
        return None

    def _do_next(self) -> None:
        entry = self._take()
        if entry is None:
            return
        result, error = None, None
        start = time.perf_counter()
        try:
            result = entry.work()
        except BaseException as raised:  # noqa: BLE001 - raised again by the future
            error = raised
        elapsed = time.perf_counter() - start
        with self._lock:
            self._running -= 1
            older = self._usual_seconds or elapsed
            self._usual_seconds = _MEMORY_RATIO * older + (1 - _MEMORY_RATIO) * elapsed
        if error is None:
            entry.future.set_result(result)
        else:
            entry.future.set_exception(error)
