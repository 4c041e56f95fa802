"""Work on many items, several at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_order(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    threads: int,
    hurry: Callable[[], object] = lambda: None,
) -> Generator[_Result, None, None]:
    """What `work` makes of each item, in the order of the items, several at a time.

    Takes no more than a few items for each thread ahead of what was fetched, so the items may be
    without end. What `work` raises is raised in its place and ends it all. When it ends early,
    nothing new is begun, and what runs is told to `hurry` and waited for.
    """
    begun: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="whatsit-map")
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            while begun and (begun[0].done() or len(begun) > 2 * threads):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    except BaseException:
        hurry()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
