"""Waiting for a database without keeping anybody else waiting."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from whatsit.errors import FeedbackUnavailable

_log = logging.getLogger(__name__)

_QUIET_SECONDS = 10.0
"""After a failure was logged, others are not for so long: repeated requests would fill the log."""

_Result = TypeVar("_Result")


class Errands:
    """Runs what waits for a database in threads of its own, only a few of them at a time.

    The threads end with the process, whatever they wait for, so that a database that hangs
    neither takes the threads of answers nor keeps the server from stopping.

    Args:
        patience_seconds: How long to wait for one of them.
        max_running: How many there may be at a time.
    """

    def __init__(self, patience_seconds: float = 5.0, max_running: int = 8) -> None:
        self._patience_seconds = patience_seconds
        self._max_running = max_running
        self._lock = threading.Lock()
        self._running = 0
        self._quiet_until = 0.0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do `work`, and wait for its result.

        Raises:
            FeedbackUnavailable: It takes too long, or too much is being done already.
        """
        with self._lock:
            if self._running >= self._max_running:
                raise FeedbackUnavailable("Too many corrections wait for the database.")
            self._running += 1
        result: Future[_Result] = Future()
        threading.Thread(target=self._work, args=(work, result), daemon=True).start()
        done = asyncio.wrap_future(result)
        await asyncio.wait({done}, timeout=self._patience_seconds)
        try:
            if not done.done():
                raise FeedbackUnavailable("The database of corrections does not answer.")
            return done.result()
        except FeedbackUnavailable as error:
            self._tell(error)
            raise

    def _tell(self, error: FeedbackUnavailable) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            _log.warning("%s A correction was not kept or undone.", error.reason)
            self._quiet_until = now + _QUIET_SECONDS

    def _work(self, work: Callable[[], _Result], result: "Future[_Result]") -> None:
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - raised again for the request
            self._end()
            result.set_exception(error)
        else:
            self._end()
            result.set_result(outcome)

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
