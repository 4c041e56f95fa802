"""Processes that share a cache compute the same pixels once: one leads, the others wait a while."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from whatsit.cache.answers import AnswerCache
from whatsit.prediction import CacheOutcome, ModelId, Prediction

_FIRST_GUESS_SECONDS = 0.1
"""How long computing takes, until it has been measured."""
_MEMORY_RATIO = 0.9
_LEASE_RATIO = 4
"""A lease outlives the computing it stands for by far; it only ends early if that died."""
_LOOK_AGAIN_SECONDS = 0.002


class Leases:
    """How long computing takes here, and so how long a lease lasts and how long one is waited for.

    Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._computing_seconds = _FIRST_GUESS_SECONDS

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Take the time inside the block for that of computing."""
        start = time.perf_counter()
        yield
        elapsed = time.perf_counter() - start
        fading = _MEMORY_RATIO * self._computing_seconds + (1 - _MEMORY_RATIO) * elapsed
        self._computing_seconds = max(elapsed, fading)

    def find(
        self, answers: AnswerCache, model: ModelId, pixels_sha256: str
    ) -> tuple[Prediction | None, CacheOutcome]:
        """The answer to another file with the same pixels, kept or computed at this moment.

        Waits for another process no longer than computing has taken lately.

        Args:
            answers: Where it is kept.
            model: Whose answer.
            pixels_sha256: Hex digest of the pixels that the model sees.

        Returns:
            None with ``miss`` if the caller is to compute it.
        """
        patience = self._computing_seconds
        deadline = None
        while True:
            known, leads = answers.claim(model, pixels_sha256, patience * _LEASE_RATIO)
            if known is not None:
                return known, "hit" if deadline is None else "coalesced"
            now = time.monotonic()
            deadline = deadline or now + patience
            if leads or now >= deadline:
                return None, "miss"
            time.sleep(_LOOK_AGAIN_SECONDS)
