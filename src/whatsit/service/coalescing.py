"""Identical requests in flight are computed once: the first one leads, the others join it."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Flight(Generic[_Result]):
    """A computation under way, and those who wait for it.

    Attributes:
        future: Set once by `land` or `fail`; never cancelled.
    """

    def __init__(self, forget: "Callable[[Flight[_Result]], None]") -> None:
        self.future: Future[_Result] = Future()
        self._forget = forget
        self._lock = threading.Lock()
        self._waiting = 1
        self._work: Future[None] | None = None

    def join(self) -> bool:
        """Wait for it as well; False if everybody has left already."""
        with self._lock:
            if self._waiting == 0:
                return False
            self._waiting += 1
            return True

    def leave(self) -> None:
        """No longer wait for it. When nobody does, work that has not begun is called off."""
        with self._lock:
            self._waiting -= 1
            if self._waiting:
                return
            work = self._work
        self._forget(self)
        if work is not None:
            work.cancel()

    def has_work(self, work: "Future[None]") -> None:
        """Tell what is queued for this flight, so that it can be called off."""
        with self._lock:
            self._work = work
            is_abandoned = self._waiting == 0
        if is_abandoned:
            work.cancel()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits any more."""
        return self._waiting == 0

    def land(self, result: _Result) -> None:
        """Hand `result` to everybody who waits."""
        self._forget(self)
        self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Raise `error` for everybody who waits."""
        self._forget(self)
        self.future.set_exception(error)


class Coalescer(Generic[_Result]):
    """Knows what is in flight in this process. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight[_Result]] = {}

    def board(self, key: Hashable) -> tuple[Flight[_Result], bool]:
        """The flight for `key`, and whether the caller leads it, so has to get it going."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight.join():
                return flight, False
            flight = Flight(lambda ended: self._forget(key, ended))
            self._flights[key] = flight
            return flight, True

    def _forget(self, key: Hashable, ended: Flight[_Result]) -> None:
        with self._lock:
            if self._flights.get(key) is ended:
                del self._flights[key]
