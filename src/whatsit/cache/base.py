"""The contract of every tier of the prediction cache."""

from collections.abc import Sequence
from typing import Protocol

from whatsit.prediction import HeatMap, Prediction

CacheEntry = Prediction | HeatMap
"""A stored entry. The key says which type to expect; the reader checks it."""


class PredictionCache(Protocol):
    """Keeps entries for a while. Implementations are safe to call from several threads."""

    def get(self, key: str) -> CacheEntry | None:
        """Return the entry under `key`; None where there is none, or it has expired.

        Raises:
            CacheError: The tier can't be asked now.
        """
        ...

    def put(self, key: str, entry: CacheEntry) -> None:
        """Keep `entry` under `key` until its time to live is over.

        Raises:
            CacheError: The tier can't store now.
        """
        ...

    def close(self) -> None:
        """Close connections; the entries of a shared tier stay."""
        ...


class SharedCache(PredictionCache, Protocol):
    """A tier that several processes share, so that they can also share the work."""

    def put_all(self, entries: Sequence[tuple[str, CacheEntry]]) -> None:
        """Keep several entries, each under its key, in one go.

        Raises:
            CacheError: The tier can't store all of them now.
        """
        ...

    def claim(self, key: str, seconds: float) -> tuple[CacheEntry | None, bool]:
        """Return the entry under `key`; where there is none, the right to compute it.

        Args:
            key: Of the entry.
            seconds: How long no other caller gets that right.

        Returns:
            The entry, or None; and whether the caller is the one to compute it now.

        Raises:
            CacheError: The tier can't be asked now.
        """
        ...
