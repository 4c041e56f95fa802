"""The threads that decode and infer, so that the event loop never does."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class Workers:
    """A bounded pool of threads.

    Args:
        count: How many pictures are worked on at the same time.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="whatsit-worker")

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run `work` in a thread and wait for its result, or its exception."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for running work to end; take no more."""
        self._pool.shutdown()
