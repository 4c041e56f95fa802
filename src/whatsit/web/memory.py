"""The memory of a serving process: what malloc keeps, and where Python looks for garbage."""

import ctypes
import gc
import sys
from contextlib import suppress

_GARBAGE_THRESHOLDS = (5_000, 20, 20)
"""Objects more than before, and rounds of the younger generation: Python's own are 700, 10, 10."""
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def give_memory_back() -> None:
    """Make malloc, before threads exist, return the memory that large pictures leave behind.

    glibc gives every thread a pool of its own, and what is freed in one is of no use to another:
    with two, the process stays 30 MB smaller in `make soak` (267 instead of 299). Blocks from
    4 MB on go straight back to the system; left alone, that limit rises with every large picture.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            library = ctypes.CDLL(None)
            library.mallopt(_M_ARENA_MAX, 2)
            library.mallopt(_M_MMAP_THRESHOLD, 4 * 2**20)
            library.mallopt(_M_TRIM_THRESHOLD, 8 * 2**20)


def spare_what_stays() -> None:
    """Keep Python from looking for garbage among what is there for good, again and again.

    Frameworks, model and labels are some hundred thousand objects. Looking through them takes
    the only thread that can run Python, and empties the processor's cache for the model.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
