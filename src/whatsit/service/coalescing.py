"""Identical requests in flight are computed once: the first one leads, the others join it."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Flight(Generic[_Result]):
    """A computation under way, and its waiting callers.

    Attributes:
        future: Set once by `land` or `fail`; never cancelled.
    """

    def __init__(self, forget: "Callable[[Flight[_Result]], None]" = lambda ended: None) -> None:
        self.future: Future[_Result] = Future()
        self._forget = forget
        self._lock = threading.Lock()
        self._waiting = 1

    def join(self) -> bool:
        """Wait for it as well; False if every caller has left already."""
        with self._lock:
            if self._waiting == 0:
                return False
            self._waiting += 1
            return True

    def abandon(self) -> None:
        """No longer wait for it. It is forgotten as soon as every caller has left."""
        with self._lock:
            self._waiting -= 1
            if self._waiting:
                return
        self._forget(self)

    @property
    def is_abandoned(self) -> bool:
        """True if every caller has left; it stays so."""
        return self._waiting == 0

    def land(self, result: _Result) -> None:
        """Hand `result` to all that wait."""
        self._forget(self)
        self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Raise `error` for all that wait."""
        self._forget(self)
        self.future.set_exception(error)


class Coalescer(Generic[_Result]):
    """The computations in flight in this process. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight[_Result]] = {}

    def board(self, key: Hashable) -> tuple[Flight[_Result], bool]:
        """The flight for `key`, and True if the caller leads it, so must start it."""
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
