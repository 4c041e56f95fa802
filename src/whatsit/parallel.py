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
    """Yield the result of `work` for each item, in the order of the items, several at a time.

    Takes only a few items for each thread ahead of the results fetched, so the items may be
    endless. An error of `work` is raised in its place and ends the iteration. When it ends early,
    no new work begins; `hurry` is called, and the work under way is waited for.
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
