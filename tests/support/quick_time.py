"""An event loop whose clock jumps over every wait, so that a test of minutes takes milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run_quickly(work: Coroutine[Any, Any, _Result]) -> _Result:
    """As `asyncio.run`, but nobody really waits; for work without threads and sockets."""
    with asyncio.Runner(loop_factory=_QuickLoop) as runner:
        return runner.run(work)


class _Selector(selectors.DefaultSelector):
    skipped_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.skipped_seconds += timeout or 0.0
        return super().select(0)


class _QuickLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _Selector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return super().time() + self._skipping.skipped_seconds
